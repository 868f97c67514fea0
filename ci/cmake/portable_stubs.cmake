# The libraries without code that portable.cmake links against, made from the symbol tables of this
# machine's libraries.

# abn_real_library(NAME VARIABLE): its path, or empty where the compiler knows none.
function(abn_real_library name variable)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${name}
    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT IS_ABSOLUTE "${path}")
    set(path "")
  endif()
  set(${variable} "${path}" PARENT_SCOPE)
endfunction()

# Where a symbol was before glibc 2.34 put several libraries into one. Only those are moved back
# whose newest version is above 2.28: the others were in libc.so.6 then, too.
set(abn_homes "^dl(open|sym|vsym|close|error|addr|addr1|info|mopen)$" libdl.so.2
  "^(aio_|lio_listio|(__)?mq_|timer_|shm_(open|unlink)$)" librt.so.1
  "^(openpty|forkpty|login|login_tty|logout|logwtmp)$" libutil.so.1
  "^(_*pthread_|sem_|thrd_|mtx_|cnd_|tss_|call_once$)" libpthread.so.0
  "^(getaddrinfo_a|gai_)" libanl.so.1
  "^(ns_name|res_|dn_)" libresolv.so.2)

# abn_symbols_of(FILE): sets names, and NAME_version, NAME_type, NAME_bind, NAME_place, NAME_size
# and NAME_moved for each symbol that FILE has in a version up to ABN_PORTABLE_GLIBC.
macro(abn_symbols_of file)
  execute_process(COMMAND ${CMAKE_READELF} --dyn-syms -W ${file} OUTPUT_VARIABLE table)
  # Num: Value Size Type Bind Vis Ndx Name@@Version
  string(CONCAT line "[0-9a-f]+ +[0-9a-fx]+ (FUNC|IFUNC|OBJECT) +(GLOBAL|WEAK) +DEFAULT +"
    "[0-9]+ [A-Za-z0-9_]+@+GLIBC_[0-9.]+")
  string(REGEX MATCHALL "${line}" lines "${table}")
  set(names)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "@+" " " line "${line}")
    string(REGEX REPLACE " +" ";" line "${line}")
    list(GET line 6 name)
    list(GET line 7 version)
    string(REPLACE "GLIBC_" "" version ${version})
    if(version VERSION_GREATER ABN_PORTABLE_GLIBC)
      set(${name}_moved ON)
    elseif(NOT DEFINED ${name}_version OR version VERSION_GREATER ${name}_version)
      if(NOT DEFINED ${name}_version)
        list(APPEND names ${name})
      endif()
      set(${name}_version ${version})
      list(GET line 0 ${name}_place)
      list(GET line 1 ${name}_size)
      list(GET line 2 ${name}_type)
      list(GET line 3 ${name}_bind)
    endif()
  endforeach()
endmacro()

# abn_home(VARIABLE LIBRARY NAME MOVED): the library in which the symbol was.
function(abn_home variable library name moved)
  set(${variable} ${library} PARENT_SCOPE)
  if(moved AND library STREQUAL "libc.so.6")
    set(homes ${abn_homes})
    while(homes)
      list(POP_FRONT homes pattern home)
      if(name MATCHES "${pattern}")
        set(${variable} ${home} PARENT_SCOPE)
        return()
      endif()
    endwhile()
  endif()
endfunction()

# abn_stub_libraries(VARIABLE): makes them all, and the scripts libc.so and libm.so; VARIABLE is
# empty or says what went wrong. A function has no bytes. An object has those that it has in the
# library, as a program may hold a copy of it; what has one address there (environ and __environ)
# has one here.
function(abn_stub_libraries variable)
  set(loader ld-linux-x86-64.so.2)
  set(libraries libc.so.6 libm.so.6 ${loader})
  foreach(library IN LISTS libraries)
    abn_real_library(${library} real)
    abn_symbols_of("${real}")
    if(NOT names)
      set(${variable} "${library} shows no symbols" PARENT_SCOPE)
      return()
    endif()
    set(places_of_${library})
    foreach(name IN LISTS names)
      abn_home(home ${library} ${name} "${${name}_moved}")
      list(APPEND homes ${home})
      list(APPEND versions_of_${home} ${${name}_version})
      string(APPEND "nodes_${home}_${${name}_version}" " ${name};")
      set(binding .globl)
      if(${name}_bind STREQUAL "WEAK")
        set(binding .weak)
      endif()
      if(${name}_type STREQUAL "OBJECT")
        set(place ${${name}_place})
        list(APPEND places_of_${library} ${place})
        string(APPEND labels_${library}_${place} "${binding} ${name}\n.type ${name},@object\n"
          ".size ${name},${${name}_size}\n${name}:\n")
        set(bytes_${library}_${place} ${${name}_size})
      else()
        string(APPEND text_${home} "${binding} ${name}\n.type ${name},@function\n${name}:\n")
      endif()
      unset(${name}_version)
      unset(${name}_moved)
    endforeach()
    list(REMOVE_DUPLICATES places_of_${library})
    set(data_${library} ".bss\n")
    foreach(place IN LISTS places_of_${library})
      string(APPEND data_${library}
        ".balign 32\n${labels_${library}_${place}}.skip ${bytes_${library}_${place}}\n")
    endforeach()
  endforeach()

  list(REMOVE_DUPLICATES homes)
  foreach(home IN LISTS homes)
    set(script "")
    set(rest " local: *;")
    list(REMOVE_DUPLICATES versions_of_${home})
    foreach(version IN LISTS versions_of_${home})
      string(APPEND script "GLIBC_${version} { global:${nodes_${home}_${version}}${rest} };\n")
      set(rest "")
    endforeach()
    file(WRITE ${abn_portable}/${home}.map "${script}")
    file(WRITE ${abn_portable}/${home}.s
      ".text\n${text_${home}}${data_${home}}.section .note.GNU-stack,\"\",@progbits\n")
    abn_portable_run(wrong ${CMAKE_CXX_COMPILER} -shared -nostdlib -o ${home} ${home}.s
      -Wl,-soname,${home} -Wl,--version-script=${home}.map)
    if(wrong)
      set(${variable} "${wrong}" PARENT_SCOPE)
      return()
    endif()
  endforeach()

  list(REMOVE_ITEM homes libc.so.6 libm.so.6)
  abn_real_library(libc_nonshared.a nonshared)
  list(TRANSFORM homes PREPEND ${abn_portable}/)
  list(JOIN homes " " homes)
  file(WRITE ${abn_portable}/libc.so
    "GROUP(${abn_portable}/libabn_newer.a ${abn_portable}/libc.so.6 ${nonshared}\n"
    "  AS_NEEDED(${homes}))\n")
  file(WRITE ${abn_portable}/libm.so "INPUT(${abn_portable}/libm.so.6)\n")
  set(${variable} "" PARENT_SCOPE)
endfunction()
