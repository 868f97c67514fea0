# Run at build time by provenance.cmake; touches the header only when something changed.
find_package(Git QUIET)
set(revision unknown)
set(dirty false)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(found)
    set(revision ${found})
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      set(dirty true)
    endif()
  endif()
endif()
if(CUDA STREQUAL "")
  set(CUDA none)
endif()
string(REPLACE "GNU" "g++" COMPILER "${COMPILER}")
string(REPLACE "Clang" "clang++" COMPILER "${COMPILER}")
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT "// Written by the build.
#pragma once
namespace abn::verify::build {
inline constexpr const char* version = \"@VERSION@\";
inline constexpr const char* git = \"@revision@\";
inline constexpr bool dirty = @dirty@;
inline constexpr const char* compiler = \"@COMPILER@\";
inline constexpr const char* cuda = \"@CUDA@\";
}
")
