// strtol, sscanf and their kin by the names that headers of 2.38 and newer give them. They also
// read 0b11; the older ones, which are called here, do not.
#include <cstdarg>
#include <cstdio>

// By their names in the library: headers may give them the newer ones.
extern "C" {
long old_strtol(const char*, char**, int) asm("strtol");
long long old_strtoll(const char*, char**, int) asm("strtoll");
unsigned long old_strtoul(const char*, char**, int) asm("strtoul");
unsigned long long old_strtoull(const char*, char**, int) asm("strtoull");
int old_vsscanf(const char*, const char*, va_list) asm("__isoc99_vsscanf");
int old_vfscanf(FILE*, const char*, va_list) asm("__isoc99_vfscanf");

#define ABN_NEWER [[gnu::visibility("hidden")]]
ABN_NEWER long __isoc23_strtol(const char* text, char** end, int base) {
  return old_strtol(text, end, base);
}
ABN_NEWER long long __isoc23_strtoll(const char* text, char** end, int base) {
  return old_strtoll(text, end, base);
}
ABN_NEWER unsigned long __isoc23_strtoul(const char* text, char** end, int base) {
  return old_strtoul(text, end, base);
}
ABN_NEWER unsigned long long __isoc23_strtoull(const char* text, char** end, int base) {
  return old_strtoull(text, end, base);
}
ABN_NEWER int __isoc23_vsscanf(const char* text, const char* format, va_list values) {
  return old_vsscanf(text, format, values);
}
ABN_NEWER int __isoc23_sscanf(const char* text, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int count = old_vsscanf(text, format, values);
  va_end(values);
  return count;
}
ABN_NEWER int __isoc23_fscanf(FILE* file, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int count = old_vfscanf(file, format, values);
  va_end(values);
  return count;
}
}
