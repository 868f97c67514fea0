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

# A plug-in asks for the runtime by this soname and with these versions of its symbols.
set(ptx_exports ${PROJECT_SOURCE_DIR}/ci/cmake/ptx.exports)
add_library(abn_ptx SHARED ${ptx_exports})
set_target_properties(abn_ptx PROPERTIES OUTPUT_NAME abn_ptx LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${abn_bin} LINK_DEPENDS ${ptx_exports} NO_SONAME ON)
target_link_libraries(abn_ptx PRIVATE abn_options $<TARGET_OBJECTS:abn_ptx_objects>
  "$<FILTER:$<TARGET_OBJECTS:abn_kernels>,INCLUDE,emulator/occupancy>" ${CMAKE_DL_LIBS})
target_link_options(abn_ptx PRIVATE LINKER:-soname,libcudart.so.13
  LINKER:--version-script=${ptx_exports} LINKER:--no-undefined $<$<CONFIG:Release>:-s>)

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
