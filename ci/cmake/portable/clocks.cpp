// Waiting by a clock of one's choice (2.30), which std::condition_variable and std::timed_mutex do:
// the same moment by the clock that the older functions wait by.
//
// If the real-time clock is set meanwhile, the wait ends at another moment. So it was in libstdc++
// before it had these functions, and who waits asks the clock again.
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

namespace {

constexpr long second = 1000000000;

timespec by_real_time(clockid_t clock, const timespec& moment) {
  if (clock == CLOCK_REALTIME) return moment;
  timespec now, real;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &real);
  timespec sum{real.tv_sec + moment.tv_sec - now.tv_sec,
               real.tv_nsec + moment.tv_nsec - now.tv_nsec};
  for (; sum.tv_nsec < 0; sum.tv_nsec += second) --sum.tv_sec;
  for (; sum.tv_nsec >= second; sum.tv_nsec -= second) ++sum.tv_sec;
  return sum.tv_sec < 0 ? timespec{0, 0} : sum;
}

}  // namespace

#define ABN_NEWER extern "C" [[gnu::visibility("hidden")]]
ABN_NEWER int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                     clockid_t clock, const timespec* moment) {
  const timespec real = by_real_time(clock, *moment);
  return pthread_cond_timedwait(condition, mutex, &real);
}
ABN_NEWER int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                      const timespec* moment) noexcept {
  const timespec real = by_real_time(clock, *moment);
  return pthread_mutex_timedlock(mutex, &real);
}
ABN_NEWER int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock,
                                         const timespec* moment) noexcept {
  const timespec real = by_real_time(clock, *moment);
  return pthread_rwlock_timedrdlock(lock, &real);
}
ABN_NEWER int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock,
                                         const timespec* moment) noexcept {
  const timespec real = by_real_time(clock, *moment);
  return pthread_rwlock_timedwrlock(lock, &real);
}
ABN_NEWER int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* moment) {
  const timespec real = by_real_time(clock, *moment);
  return sem_timedwait(semaphore, &real);
}
