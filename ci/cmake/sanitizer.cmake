# How kernel files are compiled for the emulator's sanitiser, which sees every memory access
# (cuda/emulator/README.md).
#
# The compiler inserts the calls of its race detector; the emulator has functions of its own by
# these names, and the detector's library is not linked. Structs must not be taken apart nor
# accesses put together before that happens, or the bytes would not be the kernel's. Line tables
# tell findings their file and line. Another sanitiser of the whole build (ci/asan.sh) has to leave
# these files alone: no compiler inserts both.
include_guard(GLOBAL)
find_program(ABN_CLANGXX
  NAMES clang++ clang++-14 clang++-15 clang++-16 clang++-17 clang++-18 clang++-19)
mark_as_advanced(ABN_CLANGXX)

# abn_sanitizer_flags(VARIABLE GNU|CLANG): the flags, those of clang's back end behind an -mllvm of
# their own each.
function(abn_sanitizer_flags variable compiler)
  if(compiler STREQUAL "GNU")
    set(flags -O2 -fno-sanitize=all -fsanitize=thread -fno-tree-sra -fno-tree-vectorize
      -fno-tree-loop-distribute-patterns --param=tsan-instrument-func-entry-exit=0
      --param=tsan-distinguish-volatile=1 -g1)
  else()
    set(flags -O2 -fno-sanitize=all -fsanitize=thread -fno-vectorize -fno-slp-vectorize -g1)
    foreach(option -tsan-instrument-read-before-write -tsan-instrument-func-entry-exit=0
                   -tsan-distinguish-volatile=1 -tsan-instrument-atomics=0
                   -tsan-handle-cxx-exceptions=0)
      list(APPEND flags -mllvm ${option})
    endforeach()
  endif()
  set(${variable} ${flags} PARENT_SCOPE)
endfunction()

# abn_sanitize(TARGET BUILD): compiles an object library of kernels that way. BUILD names the inline
# namespace of its kernels, so that it can be linked beside other builds of the same sources.
function(abn_sanitize target build)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    abn_sanitizer_flags(flags CLANG)
  else()
    abn_sanitizer_flags(flags GNU)
  endif()
  list(JOIN flags " " flags)  # CMake drops what it takes for a repetition, as every -mllvm
  target_compile_options(${target} PRIVATE "SHELL:${flags}")
  target_compile_definitions(${target} PRIVATE ABN_BUILD=${build})
endfunction()

# abn_sanitize_with_clang(VARIABLE BUILD SOURCE...): the objects of the same compiled by clang++, in
# a build where g++ is the compiler; VARIABLE is empty where there is no clang++. Its findings are
# the same, and a second opinion on where accesses are.
function(abn_sanitize_with_clang variable build)
  set(objects)
  if(ABN_CLANGXX AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    abn_sanitizer_flags(flags CLANG)
    foreach(source IN LISTS ARGN)
      get_filename_component(name ${source} NAME_WE)
      get_filename_component(path ${source} ABSOLUTE)
      set(object ${CMAKE_CURRENT_BINARY_DIR}/${build}_${name}.o)
      add_custom_command(OUTPUT ${object} DEPENDS ${path} DEPFILE ${object}.d VERBATIM
        COMMENT "Compiling ${name} with clang++ for the sanitiser"
        COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${ABN_CLANGXX} -std=c++20 -Wall -Wextra
                -ffp-contract=off -fPIE ${flags} -DABN_BUILD=${build} -I${PROJECT_SOURCE_DIR}
                -MD -MF ${object}.d -c ${path} -o ${object})
      list(APPEND objects ${object})
    endforeach()
  endif()
  set(${variable} ${objects} PARENT_SCOPE)
endfunction()

# abn_strip(TARGET): a small release binary that still knows the lines of instrumented kernels.
function(abn_strip target)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM
      COMMAND ${CMAKE_STRIP} --strip-all --keep-section=.debug_line
              --keep-section=.debug_line_str $<TARGET_FILE:${target}>)
  endif()
endfunction()
