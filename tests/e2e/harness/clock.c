/* clock_gettime(2) for a process under test, preloaded: while the file $FAILING_CLOCK exists, the time of day is had for
 * $FAILING_CLOCK_AFTER more times; then the file is deleted and the clock fails, once. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  static atomic_int asked;
  const char *path = clock == CLOCK_REALTIME ? getenv("FAILING_CLOCK") : NULL;
  const char *after = getenv("FAILING_CLOCK_AFTER");
  /* Of several threads that ask at once, one can delete it. */
  if (path && after && !access(path, F_OK) && atomic_fetch_add(&asked, 1) >= atoi(after) && !unlink(path)) {
    errno = EINVAL;
    return -1;
  }
  return (int)syscall(SYS_clock_gettime, clock, now);
}
