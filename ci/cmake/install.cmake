# What `cmake --install` puts where, as the CMake package abn-verify: the program, the library of
# the in-tree kernels, and what abn_add_kernel() needs to build kernels of another project.
#
#   bin/abn-verify                             abn-verify::abn-verify
#   bin/abn-verify-worker                      runs plug-ins for abn-verify
#   lib/libabn_kernels.so                      abn-verify::kernels
#   lib/abn-verify/libabn_ptx.so               the executor of compiled kernels, for --device ptx
#   lib/abn-verify/libabn_ptx_12.so, ...       its names for plug-ins of several toolkits
#   lib/abn-verify/plugins/mutants.so          the planted bugs that `abn-verify study judges` loads
#   lib/cmake/abn-verify/                      the package, kernel.cmake in it
#   include/abn-verify/cuda/                   abn-verify::abi; laid out as in the sources, so that
#                                              a kernel's includes and the emulator's tag are alike
#
# The judge itself (verify/) is not installed as a library: its headers ask for fmt, Eigen and Boost
# and promise nothing between versions. What it does is there as a program with JSON results.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(abn_headers ${CMAKE_INSTALL_INCLUDEDIR}/abn-verify)
set(abn_package ${CMAKE_INSTALL_LIBDIR}/cmake/abn-verify)

target_include_directories(abn_abi INTERFACE $<INSTALL_INTERFACE:${abn_headers}>)
set_target_properties(abn_abi PROPERTIES EXPORT_NAME abi)
set_target_properties(abn_kernels_shared PROPERTIES EXPORT_NAME kernels)
install(TARGETS abn-verify abn-verify-worker abn_kernels_shared abn_abi EXPORT abn-verifyTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS abn_ptx ${ptx_toolkits}
  LIBRARY DESTINATION lib/abn-verify)  # found from bin as well
install(EXPORT abn-verifyTargets NAMESPACE abn-verify:: DESTINATION ${abn_package})
install(TARGETS plugin_mutants
  LIBRARY DESTINATION lib/abn-verify/plugins)  # found from bin, so the same everywhere

file(GLOB abn_public_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cuda/*.h)
install(FILES ${abn_public_headers} DESTINATION ${abn_headers}/cuda)
install(FILES ${PROJECT_SOURCE_DIR}/cuda/ptx/ptx.h DESTINATION ${abn_headers}/cuda/ptx)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/cuda/device ${PROJECT_SOURCE_DIR}/cuda/emulator
  DESTINATION ${abn_headers}/cuda
  FILES_MATCHING PATTERN "*.cuh" PATTERN "*.hpp" PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/cuda/plugin/emulated.cpp
  DESTINATION ${abn_headers}/cuda/plugin)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/abn-verifyConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/abn-verifyConfig.cmake INSTALL_DESTINATION ${abn_package}
  PATH_VARS abn_headers NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/abn-verifyConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/abn-verifyConfig.cmake
  ${PROJECT_BINARY_DIR}/package/abn-verifyConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/kernel.cmake ${CMAKE_CURRENT_LIST_DIR}/sanitizer.cmake
  DESTINATION ${abn_package})
