# The sample plug-ins, build/bin/plugins/NAME.so, from sources that see cuda/kernel.h, the example
# in cuda/examples and kernels of the tests, and nothing of the judge.
set(plugin_targets)
function(abn_plugin name source)
  cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/plugins)
  add_library(plugin_${name} MODULE ${source})
  target_link_libraries(plugin_${name} PRIVATE abn-verify::abi)
  target_compile_definitions(plugin_${name} PRIVATE ${ARGN})
  # What strangers build is not instrumented, and its faults are those of a process without.
  target_compile_options(plugin_${name} PRIVATE -fno-sanitize=all
    -Wall -Wextra -Wpedantic -ffp-contract=off
    $<$<BOOL:${ABN_WERROR}>:-Werror>)
  target_link_options(plugin_${name} PRIVATE -static-libstdc++ -static-libgcc
    $<$<CONFIG:Release>:-s>)
  set_target_properties(plugin_${name} PROPERTIES OUTPUT_NAME ${name} PREFIX "" SUFFIX ".so"
    CXX_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${abn_bin}/plugins)
  set(plugin_targets ${plugin_targets} plugin_${name} PARENT_SCOPE)
endfunction()

abn_plugin(correct sample.cpp SAMPLE_NAME="correct")
foreach(bug nan_in_one last_element_unwritten input_overwritten crash leaves_rounding
    reads_one_past reads_one_before writes_a_page_past reads_aligned_vectors)
  abn_plugin(${bug} sample.cpp SAMPLE_NAME="${bug}" PLANTED_BUG=${bug})
endforeach()
abn_plugin(calls calls.cpp)
set(protocol ${PROJECT_SOURCE_DIR}/verify/worker/protocol.hpp)
file(STRINGS ${protocol} version REGEX "protocol_version = ")
string(REGEX MATCH "protocol_version = ([0-9]+)" version "${version}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${protocol})
abn_plugin(hostile hostile.cpp PROTOCOL_VERSION=${CMAKE_MATCH_1})  # forges answers
abn_plugin(go_between go_between.cpp)
abn_plugin(cheats cheats.cpp)
abn_plugin(borrows borrows.cpp)
abn_plugin(slow_clock slow_clock.cpp)
find_package(OpenMP COMPONENTS CXX)
if(OpenMP_CXX_FOUND)
  abn_plugin(openmp openmp.cpp)
  target_link_libraries(plugin_openmp PRIVATE OpenMP::OpenMP_CXX)
endif()
# Kernels as PTX text, compiled beforehand: machines without nvcc test the executor by them.
set(ptx_file ${PROJECT_SOURCE_DIR}/fixtures/ptx/cuda_kernel.ptx)
abn_plugin(text_kernel text_kernel.cpp PTX_FILE="${ptx_file}")
abn_plugin(text_kernel_broken text_kernel.cpp PTX_FILE="${ptx_file}" BROKEN)
abn_plugin(text_kernel_ends text_kernel.cpp PTX_FILE="${ptx_file}" ENDS)
abn_plugin(text_kernel_fuses text_kernel.cpp PTX_FILE="${ptx_file}" FUSES)
abn_plugin(text_kernel_faults text_kernel.cpp PTX_FILE="${ptx_file}" FAULTS_AT_CHANNELS=5)
abn_plugin(text_kernel_fast text_kernel.cpp
  PTX_FILE="${PROJECT_SOURCE_DIR}/fixtures/ptx/cuda_kernel_fast.ptx")
set_source_files_properties(plugins/text_kernel.cpp PROPERTIES OBJECT_DEPENDS ${ptx_file})
abn_plugin(own_runtime own_runtime.cpp)
# Plug-ins of toolkits that this machine need not have, linked with libraries that have no more than
# the names. What has no name in the stand-in is found when the plug-in is loaded.
function(abn_plugin_of_toolkit name source soname)
  string(REGEX MATCH "so.([0-9]+)" toolkit ${soname})
  set(toolkit ${CMAKE_MATCH_1})
  if(NOT TARGET runtime_stub_${toolkit})
    set(exports ${PROJECT_BINARY_DIR}/generated/stub_${toolkit}.exports)
    file(CONFIGURE OUTPUT ${exports} CONTENT
      "${soname} {\n  global: cuda*; __cuda*;\n  local: *;\n};\n")
    add_library(runtime_stub_${toolkit} SHARED plugins/runtime_stub.cpp)
    set_target_properties(runtime_stub_${toolkit} PROPERTIES NO_SONAME ON LINK_DEPENDS ${exports}
      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/stubs)
    target_link_options(runtime_stub_${toolkit} PRIVATE LINKER:-soname,${soname}
      LINKER:--version-script=${exports})
  endif()
  abn_plugin(${name} ${source} PTX_FILE="${ptx_file}" TOOLKIT=${toolkit} ${ARGN})
  target_include_directories(plugin_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(plugin_${name} PRIVATE runtime_stub_${toolkit})
  set_target_properties(plugin_${name} PROPERTIES SKIP_BUILD_RPATH ON)
  set(plugin_targets ${plugin_targets} PARENT_SCOPE)
endfunction()
abn_plugin_of_toolkit(older_runtime_10 older_runtime.cpp libcudart.so.10.2)
abn_plugin_of_toolkit(older_runtime_11 older_runtime.cpp libcudart.so.11.0)
abn_plugin_of_toolkit(older_runtime_12 older_runtime.cpp libcudart.so.12)
abn_plugin_of_toolkit(graph_kernel graph_kernel.cpp libcudart.so.12 PLANTED=0)
abn_plugin_of_toolkit(graph_kernel_planted_1 graph_kernel.cpp libcudart.so.12 PLANTED=1)
abn_plugin_of_toolkit(graph_kernel_planted_2 graph_kernel.cpp libcudart.so.12 PLANTED=2)
set(by_hand_targets plugin_older_runtime_10 plugin_older_runtime_11 plugin_older_runtime_12
  plugin_graph_kernel plugin_graph_kernel_planted_1 plugin_graph_kernel_planted_2)
set_source_files_properties(plugins/older_runtime.cpp plugins/graph_kernel.cpp
  PROPERTIES OBJECT_DEPENDS ${ptx_file})
set(triton ${PROJECT_SOURCE_DIR}/fixtures/ptx/triton)
file(GLOB triton_texts CONFIGURE_DEPENDS ${triton}/*.ptx)
set_source_files_properties(plugins/triton_kernel.cpp PROPERTIES OBJECT_DEPENDS "${triton_texts}")
foreach(tail "" _planted_1 _planted_2)
  string(REGEX REPLACE "^$|_planted_" "" planted "0${tail}")
  math(EXPR planted "${planted}")
  abn_plugin(triton_kernel${tail} triton_kernel.cpp PTX_FOLDER="${triton}" PLANTED=${planted})
endforeach()
# Kernels of strangers (tests/ptx/strangers), from committed PTX text and, where there is nvcc, as
# it compiles them: each right, and with its planted bugs.
set(stranger_targets)
set(strangers ${CMAKE_CURRENT_SOURCE_DIR}/ptx/strangers)
foreach(name static_shared static_shared_planted_1 cub_reduce cub_reduce_planted_1
        cub_reduce_planted_2 warp_atomics warp_atomics_planted_1 warp_atomics_planted_2
        half_vectors half_vectors_planted_1)
  string(REGEX REPLACE "_planted_[0-9]$" "" kernel ${name})
  string(REGEX REPLACE "^.*_planted_" "" planted ${name})
  if(name STREQUAL kernel)
    set(planted 0)
  endif()
  set(text ${PROJECT_SOURCE_DIR}/fixtures/ptx/strangers/${name}.ptx)
  set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/strangers/${name}.cpp)
  file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${strangers}/${kernel}.cu\"\n")
  set_source_files_properties(${wrapper} PROPERTIES OBJECT_DEPENDS ${text})
  abn_plugin(${name} ${wrapper} PTX_FILE="${text}" PLANTED=${planted})
  list(APPEND stranger_targets plugin_${name})
  if(ABN_WITH_CUDA)
    add_library(stranger_${name} MODULE ${strangers}/${kernel}.cu)
    target_include_directories(stranger_${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(stranger_${name} PRIVATE PLANTED=${planted})
    target_compile_options(stranger_${name} PRIVATE -std=c++20 -no-compress
      -Xcompiler=-ffp-contract=off)
    set_target_properties(stranger_${name} PROPERTIES PREFIX "" SUFFIX ".so"
      OUTPUT_NAME ${name}.ptx LIBRARY_OUTPUT_DIRECTORY ${abn_bin}/plugins
      CUDA_ARCHITECTURES 90-virtual CUDA_RUNTIME_LIBRARY Shared)
    set_property(TARGET stranger_${name} PROPERTY CUDA_STANDARD)
    list(APPEND stranger_targets stranger_${name})
  endif()
endforeach()
list(APPEND plugin_targets ${stranger_targets})
abn_plugin(no_symbol unusable.cpp ENTRY=not_the_symbol)
foreach(fault bad_abi_version short_struct null_function null_name illegal_name no_variant)
  abn_plugin(${fault} unusable.cpp FAULT=${fault})
endforeach()

# Kernels for the emulator with one defect each, and as another project builds its own: from
# tests/outside, with a path to this checkout. source.outside tries the other ways.
abn_add_kernel(planted SOURCES plugins/planted.cu)
foreach(target planted planted_sanitized)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow
    $<$<BOOL:${ABN_WERROR}>:-Werror>)
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${abn_bin}/plugins)
endforeach()
if(TARGET planted_ptx)
  set_target_properties(planted_ptx PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${abn_bin}/plugins)
  list(APPEND plugin_targets planted_ptx)
endif()
include(ExternalProject)
set(abn_portable_flags "")
if(ABN_IS_PORTABLE)
  list(JOIN abn_portable_link " " abn_portable_flags)
  string(APPEND abn_portable_flags " -static-libstdc++ -static-libgcc")
endif()
ExternalProject_Add(plugin_outside
  SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/outside
  BINARY_DIR ${PROJECT_BINARY_DIR}/outside
  CMAKE_ARGS -DWAY=include
    -DABN_VERIFY=${PROJECT_SOURCE_DIR}
    -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}
    -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
    -DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}
    "-DCMAKE_MODULE_LINKER_FLAGS=${abn_portable_flags}"
    -DWITH_CUDA=${ABN_WITH_CUDA}
    -DCMAKE_CUDA_COMPILER=${CMAKE_CUDA_COMPILER}
    -DCMAKE_CUDA_ARCHITECTURES=90-real
    -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${abn_bin}/plugins
  BUILD_ALWAYS ON INSTALL_COMMAND "")
list(APPEND plugin_targets planted planted_sanitized plugin_outside)
