# Run at build time by provenance.cmake; touches the header only when something changed.
cmake_minimum_required(VERSION 3.25)
find_package(Git QUIET)
set(revision unknown)
set(dirty false)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} rev-parse --show-prefix --short=12 HEAD
    OUTPUT_VARIABLE found ERROR_QUIET)
  # Behind an empty prefix: a copy that lies in another project's repository has no revision.
  if(found MATCHES "^\n([0-9a-f]+)\n$")
    set(revision ${CMAKE_MATCH_1})
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} status --porcelain --untracked-files=no
      OUTPUT_VARIABLE changes ERROR_QUIET)
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
