# The executor of compiled kernels: libabn_ptx.so, which stands in for the CUDA runtime in worker
# processes, and the in-tree variants as nvcc compiles them, variants.ptx.so, where there is nvcc.
file(GLOB ptx_sources CONFIGURE_DEPENDS cuda/ptx/*/*.cpp)
add_library(abn_ptx_objects OBJECT ${ptx_sources})
target_link_libraries(abn_ptx_objects PUBLIC abn_options ${CMAKE_DL_LIBS})
target_compile_definitions(abn_ptx_objects PRIVATE ABN_BUILD=on_emulator)
# 32 lanes are loops over vectors. Who loads the library asks the processor first.
target_compile_options(abn_ptx_objects PRIVATE -ftree-vectorize -fvect-cost-model=dynamic
  -fno-trapping-math)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(abn_ptx_objects PRIVATE -mavx2 -mfma)
endif()
set_target_properties(abn_ptx_objects PROPERTIES POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden)

set(ptx_exports ${PROJECT_SOURCE_DIR}/ci/cmake/ptx.exports)
add_library(abn_ptx SHARED ${ptx_exports})
set_target_properties(abn_ptx PROPERTIES OUTPUT_NAME abn_ptx LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${abn_bin} LINK_DEPENDS ${ptx_exports})
target_link_libraries(abn_ptx PRIVATE abn_options $<TARGET_OBJECTS:abn_ptx_objects>
  "$<FILTER:$<TARGET_OBJECTS:abn_kernels>,INCLUDE,emulator/occupancy>" ${CMAKE_DL_LIBS})
target_link_options(abn_ptx PRIVATE
  LINKER:--version-script=${ptx_exports} LINKER:--no-undefined $<$<CONFIG:Release>:-s>)

# A plug-in asks for the runtime of its toolkit by a soname and by a version of each symbol that is
# named like it. Symbols without a version, as those of abn_ptx, answer to all of them.
set(ptx_toolkits)
foreach(toolkit 11 12 13)
  set(soname libcudart.so.${toolkit})
  if(toolkit EQUAL 11)
    set(soname libcudart.so.11.0)
  endif()
  set(exports ${PROJECT_BINARY_DIR}/generated/ptx_${toolkit}.exports)
  file(CONFIGURE OUTPUT ${exports} CONTENT "${soname} {\n  global: cuda*;\n  local: *;\n};\n")
  add_library(abn_ptx_${toolkit} SHARED cuda/ptx/runtime/toolkits/toolkit_${toolkit}.cpp)
  set_target_properties(abn_ptx_${toolkit} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${abn_bin}
    LINK_DEPENDS ${exports} NO_SONAME ON CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(abn_ptx_${toolkit} PRIVATE abn_options abn_ptx)
  target_link_options(abn_ptx_${toolkit} PRIVATE LINKER:-soname,${soname}
    LINKER:--version-script=${exports} LINKER:--no-undefined $<$<CONFIG:Release>:-s>)
  list(APPEND ptx_toolkits abn_ptx_${toolkit})
endforeach()

if(ABN_WITH_CUDA)
  add_library(abn_kernels_ptx MODULE ${variant_sources} cuda/registry.cpp cuda/plan.cpp
    cuda/plugin/compiled.cpp)
  target_compile_definitions(abn_kernels_ptx PRIVATE ABN_BUILD=on_cuda)
  target_include_directories(abn_kernels_ptx PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(abn_kernels_ptx PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false -lineinfo -no-compress -Xcompiler=-ffp-contract=off>
    $<$<COMPILE_LANGUAGE:CXX>:-std=c++20 -ffp-contract=off>)
  set_target_properties(abn_kernels_ptx PROPERTIES PREFIX "" SUFFIX ".so"
    OUTPUT_NAME variants.ptx LIBRARY_OUTPUT_DIRECTORY ${abn_bin} CUDA_ARCHITECTURES 90-virtual
    CUDA_RUNTIME_LIBRARY Shared)
endif()
