# Writes generated/abn_build.hpp: what a record says of the build. The git revision is read afresh
# at every build.
set(provenance_header ${PROJECT_BINARY_DIR}/generated/abn_build.hpp)
add_custom_target(abn_provenance VERBATIM BYPRODUCTS ${provenance_header}
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUTPUT=${provenance_header}
          -DVERSION=${PROJECT_VERSION}
          "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
          "-DCUDA=${CMAKE_CUDA_COMPILER_VERSION}"
          -P ${CMAKE_CURRENT_LIST_DIR}/write_provenance.cmake)
add_dependencies(abn_verify abn_provenance)
