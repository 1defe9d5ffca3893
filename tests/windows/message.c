/* message CLASS MESSAGE DETAIL EXTRA: posts a message to each window of a class, and says to how many. The class may be
   the beginning of its name. For tests, which ask for nothing that another program could not do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const char *wanted;
static UINT message;
static WPARAM detail;
static LPARAM extra;
static int found;

static BOOL CALLBACK post(HWND window, LPARAM unused) {
  char class[256] = {0};
  GetClassNameA(window, class, sizeof class - 1);
  if (strncmp(class, wanted, strlen(wanted)) == 0 && PostMessageA(window, message, detail, extra)) found++;
  return TRUE;
}

int main(int count, char **arguments) {
  if (count != 5) return 2;
  wanted = arguments[1];
  message = strtoul(arguments[2], NULL, 0);
  detail = strtoull(arguments[3], NULL, 0);
  extra = strtoll(arguments[4], NULL, 0);
  EnumWindows(post, 0);
  printf("%d\n", found);
  return 0;
}
