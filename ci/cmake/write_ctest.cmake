# Run after the build: writes BIN/CTestTestfile.cmake, one entry a test suite, one a variant that is
# host code and, with CUDA, one a variant on the GPU. LIMIT: seconds that a test without a GPU may
# take.
cmake_minimum_required(VERSION 3.25)
string(REPLACE " " ";" BINARIES "${BINARIES}")
string(REPLACE " " ";" VARIANTS "${VARIANTS}")
string(REPLACE " " ";" HOST_CODE "${HOST_CODE}")
set(text "# Written by the build. Commands are relative, so a copy of this folder runs anywhere.\n")

# add(NAME PROPERTIES WORD...): one test.
function(add name properties)
  set(command)
  foreach(word IN LISTS ARGN)
    string(APPEND command " \"${word}\"")
  endforeach()
  string(APPEND text "add_test([=[${name}]=]${command})\n"
    "set_tests_properties([=[${name}]=] PROPERTIES ${properties})\n")
  set(text "${text}" PARENT_SCOPE)
endfunction()

# What takes half a minute and more begins first, so that no core waits for it in the end.
set(long_suites MutantDiagnosis MutationScore CallsCommand CommandLine SizeBugs CleanTwins
  ExactKernels ConventionsStudy Deeds/Hostile InTreeVariants Plugins/PluginWithABug)

# Has to run where a GPU is, one at a time, and is a skip elsewhere.
set(on_gpu "LABELS \"gpu\" TIMEOUT 480 SKIP_RETURN_CODE 77 RESOURCE_LOCK gpu0")
foreach(binary IN LISTS BINARIES)
  execute_process(COMMAND ${BIN}/${binary} --gtest_list_tests
    OUTPUT_VARIABLE listing RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR
      "${binary} --gtest_list_tests ended with ${code}; run it by hand to see why")
  endif()
  string(REGEX MATCHALL "(^|\n)[A-Za-z0-9_/]+\\." suites "${listing}")
  string(REGEX REPLACE "-tests$" "" room ${binary})
  foreach(suite IN LISTS suites)
    string(STRIP "${suite}" suite)
    string(REGEX REPLACE "\\.$" "" suite "${suite}")
    set(properties "TIMEOUT ${LIMIT} SKIP_RETURN_CODE 77")
    string(APPEND properties " ENVIRONMENT \"ABN_SOURCE_DIR=.;RC_PARAMS=seed=20261123\"")
    if(suite IN_LIST long_suites)
      string(APPEND properties " COST 100")
    endif()
    if(suite MATCHES "OnAGpu$")
      string(APPEND properties " LABELS \"gpu\" RESOURCE_LOCK \"gpu0\"")
    else()
      string(APPEND properties " LABELS \"cpu\"")
    endif()
    add(${room}.${suite} "${properties}" ./${binary} --gtest_filter=${suite}.*)
  endforeach()
endforeach()
foreach(variant IN LISTS VARIANTS)
  add(sanitizer.${variant} "LABELS \"cpu;sanitizer\" TIMEOUT ${LIMIT}"
    ./abn-verify run ${variant}/* --device emulator --only-sanitize --quiet)
endforeach()
# Nobody sees its accesses; every check of numbers and calls it has.
foreach(variant IN LISTS HOST_CODE)
  add(host.${variant} "LABELS \"cpu;host\" TIMEOUT ${LIMIT}"
    ./abn-verify run ${variant}/* --device emulator --tier quick --quiet)
endforeach()
if(CUDA)
  foreach(variant IN LISTS VARIANTS)
    # As compiled, on the executor; bits as on the emulator where no exponential is in it. And
    # whatever the ISA leaves open, in the quick tier.
    add(ptx.${variant} "LABELS \"cpu;ptx\" TIMEOUT ${LIMIT} COST 50"
      ./abn-verify run ${variant}/* --device ptx --tier smoke --quiet)
    add(ptx.all.${variant} "LABELS \"cpu;ptx\" TIMEOUT ${LIMIT}"
      ./abn-verify run ${variant}/* --device ptx:all --tier quick --quiet)
    add(gpu.${variant} "${on_gpu}"
      ./abn-verify run ${variant}/* --device cuda:0 --tier smoke --quiet)
  endforeach()
  add(gpu.outside "${on_gpu}"
    ./abn-verify run outside/* --plugin ./plugins/outside.cuda.so --only-plugins --seed 1
    --device cuda:0 --quiet)
endif()
file(WRITE ${BIN}/CTestTestfile.cmake.new "${text}")
file(COPY_FILE ${BIN}/CTestTestfile.cmake.new ${BIN}/CTestTestfile.cmake ONLY_IF_DIFFERENT)
file(REMOVE ${BIN}/CTestTestfile.cmake.new)
