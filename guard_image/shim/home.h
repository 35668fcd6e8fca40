/* The agent's HOME between one set of rights and the next. */
#ifndef CADRE_HOME_H
#define CADRE_HOME_H
#include <stdbool.h>

/* Empty HOME and mark it with `rights`. With CADRE_KEEP_HOME=1 one that is marked so already stays as it is.
 * False when something could not be removed: the agent must not start then. */
bool fresh_home(const char *home, const char *rights);

#endif
