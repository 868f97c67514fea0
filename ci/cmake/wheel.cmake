# What goes into the wheel beside the modules of verify/python/abn_verify, below its folder
# abn_verify; the programs find each other there as in an installed prefix.
#
#   _core.*.so                      the extension
#   bin/abn-verify                  the command line; the script of that name on PATH starts it
#   bin/abn-verify-worker           runs plug-ins for it
#   lib/abn-verify/libabn_ptx.so    the executor of compiled kernels; libabn_ptx_12.so, ... are its
#                                   names for plug-ins of several toolkits
#   lib/libabn_kernels.so           the in-tree kernels, for ctypes
#   include/cuda/kernel.h           the C ABI
add_custom_target(abn_wheel)
add_dependencies(abn_wheel abn-verify abn-verify-worker abn_python abn_kernels_shared abn_ptx
  ${ptx_toolkits})
install(TARGETS abn_python LIBRARY DESTINATION . COMPONENT abn_wheel)
install(TARGETS abn-verify abn-verify-worker RUNTIME DESTINATION bin COMPONENT abn_wheel)
install(TARGETS abn_ptx ${ptx_toolkits} LIBRARY DESTINATION lib/abn-verify COMPONENT abn_wheel)
install(TARGETS abn_kernels_shared LIBRARY DESTINATION lib COMPONENT abn_wheel)
install(FILES ${PROJECT_SOURCE_DIR}/cuda/kernel.h DESTINATION include/cuda COMPONENT abn_wheel)
