# Kernels of other projects: builds a CUDA source for GPUs, where there is nvcc, and for the emulator of this project, twice.
#
#   include(path/to/abn-verify/ci/cmake/kernel.cmake)
#   abn_add_kernel(mine SOURCES mine.cu [more.cu ...] [DEFINITIONS NAME=value ...])
#
# Every source includes cuda/device/platform.cuh in place of the toolkit's headers, and one of them exports abn_plugin (cuda/kernel.h). In the
# folder of the target mine (CMAKE_LIBRARY_OUTPUT_DIRECTORY, or the build folder) there are then
#
#   mine.so             for abn-verify run --plugin: its launches run on the emulator inside abn-verify
#   mine.sanitized.so   the same with every memory access instrumented, which --sanitize and abn-verify traffic load by themselves
#   mine.cuda.so        for abn-verify run --plugin --device cuda:0; only where the project has enabled the language CUDA
#
# Two files for the emulator, not one: templates and inline functions of the sources exist in both builds under one name, and a linker would
# keep one of each. The files leave the emulator's functions undefined; loading resolves them with those of abn-verify. They ask for a symbol
# that is named by a hash of the emulator's headers, so a plug-in of another version is refused and not misunderstood.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/sanitizer.cmake)
get_filename_component(abn_checkout ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)

file(GLOB abn_tagged CONFIGURE_DEPENDS ${abn_checkout}/cuda/emulator/*.hpp ${abn_checkout}/cuda/device/platform*.cuh)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${abn_tagged})
set(abn_hashes)
foreach(file IN LISTS abn_tagged)
  file(SHA256 ${file} hash)
  string(APPEND abn_hashes ${hash})
endforeach()
string(SHA256 abn_emulator_tag "${abn_hashes}")
string(SUBSTRING ${abn_emulator_tag} 0 16 abn_emulator_tag)
set(abn_emulator_tag abn_emulator_${abn_emulator_tag})

# One shared object NAME for the emulator from the sources, each included by a .cpp of its own, as the host compiler knows no .cu.
function(abn_add_emulated target name sources definitions)
  set(wrappers)
  foreach(source IN LISTS sources)
    get_filename_component(source ${source} ABSOLUTE)
    string(MAKE_C_IDENTIFIER "${target}_${source}" wrapper)
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/abn/${wrapper}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${source}\"\n")
    list(APPEND wrappers ${wrapper})
  endforeach()
  add_library(${target} MODULE ${wrappers} ${abn_checkout}/cuda/plugin/emulated.cpp)
  target_include_directories(${target} PRIVATE ${abn_checkout})
  target_link_libraries(${target} PRIVATE Boost::headers)
  target_compile_definitions(${target} PRIVATE ${definitions} ABN_EMULATOR_TAG=${abn_emulator_tag} ABN_SANITIZED_FILE="${name}.sanitized.so")
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
    message(FATAL_ERROR "abn_add_kernel(${name} ...) needs sources; write abn_add_kernel(${name} SOURCES file.cu)")
  endif()
  find_package(Boost REQUIRED)
  abn_add_emulated(${name} ${name} "${kernel_SOURCES}" "${kernel_DEFINITIONS}")
  target_compile_definitions(${name} PRIVATE ABN_BUILD=on_emulator)
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${name})

  abn_add_emulated(${name}_sanitized ${name} "${kernel_SOURCES}" "${kernel_DEFINITIONS}")
  abn_sanitize(${name}_sanitized on_sanitizer)
  set_target_properties(${name}_sanitized PROPERTIES OUTPUT_NAME ${name}.sanitized)

  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if("CUDA" IN_LIST languages)
    add_library(${name}_cuda MODULE ${kernel_SOURCES})
    set_source_files_properties(${kernel_SOURCES} PROPERTIES LANGUAGE CUDA)
    target_include_directories(${name}_cuda PRIVATE ${abn_checkout})
    target_compile_definitions(${name}_cuda PRIVATE ${kernel_DEFINITIONS} ABN_BUILD=on_cuda)
    target_compile_options(${name}_cuda PRIVATE -std=c++20 -fmad=false -Xcompiler=-ffp-contract=off)
    set_target_properties(${name}_cuda PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name}.cuda CUDA_RUNTIME_LIBRARY Static)
    set_property(TARGET ${name}_cuda PROPERTY CUDA_STANDARD)  # CMake 3.25 knows how to ask for C++17 at most
  endif()
endfunction()
