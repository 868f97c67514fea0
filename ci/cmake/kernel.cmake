# Kernels of other projects: builds a CUDA source for GPUs, where there is nvcc, and for the
# emulator of this project, twice.
#
#   find_package(abn-verify CONFIG REQUIRED)                 an installed one, or
#   add_subdirectory(path/to/abn-verify)                     built along with it, or
#   include(path/to/abn-verify/ci/cmake/kernel.cmake)        the sources, and no more than this file
#
#   abn_add_kernel(mine SOURCES mine.cu [more.cu ...] [DEFINITIONS NAME=value ...])
#
# Every source includes cuda/device/platform.cuh in place of the toolkit's headers, and one of them
# exports abn_plugin (cuda/kernel.h). In the folder of the target mine
# (CMAKE_LIBRARY_OUTPUT_DIRECTORY, or the build folder) there are then
#
#   mine.so             for abn-verify run --plugin: its launches run on the emulator in abn-verify
#   mine.sanitized.so   the same with every memory access instrumented, which --sanitize and
#                       abn-verify traffic load by themselves
#   mine.ptx.so         for abn-verify run --plugin --device ptx: what nvcc compiled, run on the
#                       processor; only where the project has enabled the language CUDA
#   mine.cuda.so        for abn-verify run --plugin --device cuda:0; only where the project has
#                       enabled the language CUDA
#
# Two files for the emulator, not one: templates and inline functions of the sources exist in both
# builds under one name, and a linker would keep one of each. The files leave the emulator's
# functions undefined; loading resolves them with those of abn-verify. They ask for a symbol that is
# named by a hash of the emulator's headers, so a plug-in of another version is refused and not
# misunderstood.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/sanitizer.cmake)

# The folder that holds cuda/: that of the sources, or what the installed package has set. Global,
# as the functions are, which may be called from any folder.
if(NOT abn_root)
  get_filename_component(abn_root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
endif()
set_property(GLOBAL PROPERTY abn_root ${abn_root})
file(GLOB abn_tagged CONFIGURE_DEPENDS RELATIVE ${abn_root}
  ${abn_root}/cuda/emulator/*.hpp ${abn_root}/cuda/device/platform*.cuh)
set(abn_hashes)
foreach(file IN LISTS abn_tagged)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${abn_root}/${file})
  file(SHA256 ${abn_root}/${file} hash)
  string(APPEND abn_hashes ${hash})
endforeach()
string(SHA256 abn_hash "${abn_hashes}")
string(SUBSTRING ${abn_hash} 0 16 abn_hash)
set_property(GLOBAL PROPERTY abn_emulator_tag abn_emulator_${abn_hash})

# abn_emulator_tag(VARIABLE): the symbol that stands for this version of the emulator.
function(abn_emulator_tag variable)
  get_property(tag GLOBAL PROPERTY abn_emulator_tag)
  set(${variable} ${tag} PARENT_SCOPE)
endfunction()

# One shared object NAME for the emulator from the sources, each included by a .cpp of its own, as
# the host compiler knows no .cu.
function(abn_add_emulated target name sources definitions)
  get_property(root GLOBAL PROPERTY abn_root)
  abn_emulator_tag(tag)
  set(wrappers)
  foreach(source IN LISTS sources)
    get_filename_component(source ${source} ABSOLUTE)
    string(MAKE_C_IDENTIFIER "${target}_${source}" wrapper)
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/abn/${wrapper}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${source}\"\n")
    list(APPEND wrappers ${wrapper})
  endforeach()
  add_library(${target} MODULE ${wrappers} ${root}/cuda/plugin/emulated.cpp)
  target_include_directories(${target} PRIVATE ${root})
  target_link_libraries(${target} PRIVATE Boost::headers)
  target_compile_definitions(${target} PRIVATE ${definitions}
    ABN_EMULATOR_TAG=${tag} ABN_SANITIZED_FILE="${name}.sanitized.so")
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_compile_options(${target} PRIVATE -O2 -ffp-contract=off)
  # What the sources define is theirs alone, whatever else the program has by the same name.
  target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc LINKER:-Bsymbolic)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fno-gnu-unique)
  endif()
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so" CXX_EXTENSIONS OFF)
endfunction()

function(abn_add_kernel name)
  cmake_parse_arguments(PARSE_ARGV 1 kernel "" "" "SOURCES;DEFINITIONS")
  if(NOT kernel_SOURCES OR kernel_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "abn_add_kernel(${name} ...) needs sources; write "
      "abn_add_kernel(${name} SOURCES file.cu)")
  endif()
  find_package(Boost QUIET)
  if(NOT Boost_FOUND)
    message(FATAL_ERROR "abn_add_kernel(${name} ...) needs the headers of Boost.Context; install "
      "them, on Debian with: apt-get install libboost-context-dev")
  endif()
  abn_add_emulated(${name} ${name} "${kernel_SOURCES}" "${kernel_DEFINITIONS}")
  target_compile_definitions(${name} PRIVATE ABN_BUILD=on_emulator)
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${name})

  abn_add_emulated(${name}_sanitized ${name} "${kernel_SOURCES}" "${kernel_DEFINITIONS}")
  abn_sanitize(${name}_sanitized on_sanitizer)
  set_target_properties(${name}_sanitized PROPERTIES OUTPUT_NAME ${name}.sanitized)

  # Only where the caller's folder knows the language: a folder below may have enabled it for
  # itself.
  if(CMAKE_CUDA_COMPILER_LOADED)
    get_property(root GLOBAL PROPERTY abn_root)
    add_library(${name}_cuda MODULE ${kernel_SOURCES})
    set_source_files_properties(${kernel_SOURCES} PROPERTIES LANGUAGE CUDA)
    target_include_directories(${name}_cuda PRIVATE ${root})
    target_compile_definitions(${name}_cuda PRIVATE ${kernel_DEFINITIONS} ABN_BUILD=on_cuda)
    target_compile_options(${name}_cuda PRIVATE -std=c++20 -fmad=false -Xcompiler=-ffp-contract=off)
    set_target_properties(${name}_cuda PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name}.cuda
      CUDA_RUNTIME_LIBRARY Static)
    # CMake 3.25 knows how to ask for C++17 at most.
    set_property(TARGET ${name}_cuda PROPERTY CUDA_STANDARD)

    # One virtual architecture, and a runtime that the executor can stand in for.
    add_library(${name}_ptx MODULE ${kernel_SOURCES})
    target_include_directories(${name}_ptx PRIVATE ${root})
    target_compile_definitions(${name}_ptx PRIVATE ${kernel_DEFINITIONS} ABN_BUILD=on_cuda)
    target_compile_options(${name}_ptx PRIVATE -std=c++20 -fmad=false -lineinfo
      -no-compress -Xcompiler=-ffp-contract=off)
    set_target_properties(${name}_ptx PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name}.ptx
      CUDA_RUNTIME_LIBRARY Shared CUDA_ARCHITECTURES 90-virtual)
    set_property(TARGET ${name}_ptx PROPERTY CUDA_STANDARD)
  endif()
endfunction()
