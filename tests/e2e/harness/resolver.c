/* getaddrinfo(3) for a process under test, preloaded: names that stand in the file $STEERED_NAMES are answered as it
 * says at that moment, all others by the system. A line holds a name and an address, or a name and what goes wrong:
 * "unknown" (there is no such name), "failing" (no server answers), "hanging" (no answer until the line changes).
 * Every look-up of such a name is noted in $STEERED_LOOKUPS, and one that hung once more with what it came to. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST 255
#define BETWEEN_LOOKS_US 20000

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int answer_of(const char *name, char *answer) {
  const char *path = getenv("STEERED_NAMES");
  FILE *file = path ? fopen(path, "re") : NULL;
  char line[2 * LONGEST + 2], known[LONGEST + 1];
  int found = 0;
  while (file && !found && fgets(line, sizeof line, file))
    found = sscanf(line, "%255s %255s", known, answer) == 2 && !strcmp(known, name);
  if (file) fclose(file);
  return found;
}

static void note(const char *name, const char *answer) {
  const char *path = getenv("STEERED_LOOKUPS");
  char line[2 * LONGEST + 3];
  int length = snprintf(line, sizeof line, "%s %s\n", name, answer);
  int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (file < 0) return;
  if (write(file, line, (size_t)length) != length) abort();
  close(file);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  resolve *system_resolve = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
  char answer[LONGEST + 1];
  if (!name || !answer_of(name, answer)) return system_resolve(name, service, hints, found);
  note(name, answer);
  while (!strcmp(answer, "hanging")) {
    usleep(BETWEEN_LOOKS_US);
    if (!answer_of(name, answer)) return EAI_NONAME;
    if (strcmp(answer, "hanging")) note(name, answer);
  }
  if (!strcmp(answer, "unknown")) return EAI_NONAME;
  if (!strcmp(answer, "failing")) return EAI_AGAIN;
  return system_resolve(answer, service, hints, found);
}
