# Lets programs start on machines with an older C library than the one that they are built on: no
# symbol newer than GLIBC_2.28 (RHEL 8, Debian 10 and all that came after) is asked for.
#
# A linker takes the newest version of every symbol that the C library before it has. So it is given
# another one to look at: libraries without code, made from the symbol tables of this machine's
# libraries, in which every symbol has the newest version that is not above 2.28, and lies in the
# library where it was then (pthread_create in libpthread.so.0). What did not exist at all in 2.28
# and is asked for all the same, by headers, libstdc++.a or libgcc_eh.a, is in
# libabn_newer.a, built from ci/cmake/portable/*.cpp. All of it is reached by the linker script
# portable/libc.so, which -L puts before the real one.
#
# Whether that works here is tried with a program that uses what is known to be delicate
# (portable/try.cpp). Where it does not, one line says so, and programs are linked as usual.
option(ABN_PORTABLE "Ask for no symbol of the C library newer than GLIBC_2.28"
  ${PROJECT_IS_TOP_LEVEL})
set(ABN_PORTABLE_GLIBC 2.28)
set(abn_portable ${PROJECT_BINARY_DIR}/portable)
include(${CMAKE_CURRENT_LIST_DIR}/portable_stubs.cmake)

# abn_not_meant(VARIABLE): why this is nothing for such a build, or empty.
function(abn_not_meant variable)
  set(${variable} "" PARENT_SCOPE)
  if(NOT ABN_PORTABLE)
    set(${variable} "ABN_PORTABLE is OFF" PARENT_SCOPE)
  elseif(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR CMAKE_CROSSCOMPILING OR
         NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(${variable} "it is written for x86-64 Linux" PARENT_SCOPE)
  elseif("${CMAKE_CXX_FLAGS} ${CMAKE_EXE_LINKER_FLAGS}" MATCHES "-fsanitize=|-static( |$)")
    set(${variable} "sanitizers and static programs are linked in their own way" PARENT_SCOPE)
  endif()
endfunction()

# abn_make_portable(VARIABLE): fills the folder, and tries it; VARIABLE is empty where that worked,
# or says why not.
function(abn_make_portable variable)
  set(${variable} "" PARENT_SCOPE)
  abn_real_library(libc.so.6 libc)
  if(NOT libc OR NOT CMAKE_READELF OR NOT CMAKE_AR)
    set(${variable} "there is no libc.so.6, no readelf or no ar" PARENT_SCOPE)
    return()
  endif()

  # Made again when the compiler, the C library or one of these files is another.
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/portable/*.cpp)
  set(stamp "${CMAKE_CXX_COMPILER} ${CMAKE_CXX_COMPILER_VERSION}")
  foreach(file IN LISTS sources libc ITEMS ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/portable.cmake
          ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/portable_stubs.cmake)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(SHA256 ${file} hash)
    string(APPEND stamp " ${hash}")
  endforeach()
  set(was "")
  if(EXISTS ${abn_portable}/stamp)
    file(READ ${abn_portable}/stamp was)
  endif()
  if(was STREQUAL stamp)
    return()
  endif()
  file(REMOVE_RECURSE ${abn_portable})
  file(MAKE_DIRECTORY ${abn_portable})

  abn_stub_libraries(wrong)
  set(objects)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    if(NOT wrong AND NOT name STREQUAL "try")
      abn_portable_run(wrong ${CMAKE_CXX_COMPILER} -std=c++20 -O2 -fPIC -fno-exceptions -fno-rtti
        -fno-stack-protector -fvisibility=hidden -c ${source} -o ${name}.o)
      list(APPEND objects ${name}.o)
    endif()
  endforeach()
  if(NOT wrong)
    abn_portable_run(wrong ${CMAKE_AR} rcs libabn_newer.a ${objects})
  endif()
  if(NOT wrong)
    set(try ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/portable/try.cpp)
    abn_portable_run(wrong ${CMAKE_CXX_COMPILER} -std=c++20 -O1 -o try ${try} ${abn_portable_link}
      -static-libstdc++ -static-libgcc)
  endif()
  if(NOT wrong)
    abn_portable_run(wrong ${abn_portable}/try)
  endif()
  if(wrong)
    set(${variable} "${wrong}" PARENT_SCOPE)
  else()
    file(WRITE ${abn_portable}/stamp "${stamp}")
  endif()
endfunction()

# abn_portable_run(VARIABLE COMMAND...): VARIABLE is empty, or the first line of what went wrong.
function(abn_portable_run variable)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${abn_portable} RESULT_VARIABLE code
    OUTPUT_VARIABLE output ERROR_VARIABLE output TIMEOUT 60)
  set(wrong "")
  if(NOT code EQUAL 0)
    string(REGEX MATCH "[^\n]*(error|undefined|terminate|wrong)[^\n]*" line "${output}")
    list(GET ARGN 0 program)
    get_filename_component(program ${program} NAME)
    set(wrong "${program} ended with ${code}: ${line}")
  endif()
  set(${variable} "${wrong}" PARENT_SCOPE)
endfunction()

# What crt1.o calls begins in portable/start.cpp; 2.28 cannot read packed relocations.
set(abn_portable_link -L${abn_portable} -Wl,--wrap=__libc_start_main
  -Wl,-z,nopack-relative-relocs)
set(ABN_IS_PORTABLE OFF)
abn_not_meant(ABN_WHY_NOT_PORTABLE)  # source.symbols is skipped with this reason
set(abn_wrong "${ABN_WHY_NOT_PORTABLE}")
if(NOT abn_wrong)
  abn_make_portable(abn_wrong)
endif()
if(abn_wrong)
  message(STATUS "Not portable: programs ask for the C library of this machine (${abn_wrong})")
else()
  set(ABN_IS_PORTABLE ON)
  add_link_options(${abn_portable_link} -static-libstdc++ -static-libgcc)
  message(STATUS "Portable: programs start with the C library ${ABN_PORTABLE_GLIBC} and newer")
endif()
