/* The file that the guard leaves for the agent's container: NAME=value, one a line. */
#ifndef CADRE_SETTINGS_H
#define CADRE_SETTINGS_H
#include <stdbool.h>

/* Read the file anew; false when it is missing, too long or holds anything but such lines. */
bool load_settings(const char *file);

/* A value of the file read last; NULL when it has none of that name. */
const char *setting(const char *name);

/* Put the file's values into the environment; `listens` = also the keys that only a listening agent needs. */
void apply_settings(bool listens);

#endif
