# The Python package abn_verify in the build folder: build/python/abn_verify, with its extension
# _core. It holds what a worker of the judge is made of, and nothing of the judge.
find_package(Python 3.9 REQUIRED COMPONENTS Interpreter Development.Module)
if(NOT nanobind_DIR)
  execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
    OUTPUT_VARIABLE nanobind_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
find_package(nanobind CONFIG QUIET)
if(NOT nanobind_FOUND)
  message(FATAL_ERROR "ABN_PYTHON needs nanobind for ${Python_EXECUTABLE}; install it with: "
    "${Python_EXECUTABLE} -m pip install nanobind, or leave ABN_PYTHON off")
endif()

set(abn_python_sources)
foreach(name closed_pages entry_points executor invoke library loaded_objects mapped_segments
             packet_socket protocol serve serve_timing)
  list(APPEND abn_python_sources verify/worker/${name}.cpp)
endforeach()
nanobind_add_module(abn_python STABLE_ABI NB_STATIC
  verify/python/core.cpp verify/python/buffer.cpp verify/python/variant.cpp ${abn_python_sources}
  "$<FILTER:${emulator_objects},EXCLUDE,emulator/speed>")
set(abn_python_package ${PROJECT_BINARY_DIR}/python/abn_verify)
set_target_properties(abn_python PROPERTIES OUTPUT_NAME _core
  LIBRARY_OUTPUT_DIRECTORY ${abn_python_package})
set_target_properties(abn_fmt PROPERTIES POSITION_INDEPENDENT_CODE ON)
# As a system's: its headers are not free of this project's warnings.
get_filename_component(nanobind_include ${nanobind_DIR}/../include ABSOLUTE)
target_include_directories(abn_python SYSTEM PRIVATE ${nanobind_include}
  ${Python_INCLUDE_DIRS})
target_link_libraries(abn_python PRIVATE abn_options abn_fmt Boost::context Threads::Threads
  ${CMAKE_DL_LIBS})
target_link_options(abn_python PRIVATE LINKER:--exclude-libs,ALL)  # nor does it export any
add_dependencies(abn_python abn_provenance)

# The modules themselves, so that the package in the build folder is whole.
file(GLOB abn_python_modules CONFIGURE_DEPENDS verify/python/abn_verify/*.py
  verify/python/abn_verify/py.typed)
add_custom_target(abn_python_modules ALL VERBATIM
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${abn_python_modules} ${abn_python_package})
add_dependencies(abn_python_modules abn_python)
