# Writes generated/abn_build.hpp: what a record says of the build. The git revision is read afresh at every build.
set(provenance_args -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${CMAKE_BINARY_DIR}/generated/abn_build.hpp -DVERSION=${PROJECT_VERSION}
  "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" "-DCUDA=${CMAKE_CUDA_COMPILER_VERSION}"
  -P ${CMAKE_SOURCE_DIR}/ci/cmake/write_provenance.cmake)
add_custom_target(abn_provenance COMMAND ${CMAKE_COMMAND} ${provenance_args} BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/abn_build.hpp VERBATIM)
add_dependencies(abn_verify abn_provenance)
