#define _GNU_SOURCE
#include "settings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 8192, LINES_MAX = 32 };
static char text[FILE_MAX + 1];
static struct {
    const char *name, *value;
} lines[LINES_MAX];
static size_t count;

static bool read_all(const char *file) {
    size_t used = 0;
    ssize_t got = 1;
    int source = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (source < 0)
        return false;
    while (used < FILE_MAX && (got = read(source, text + used, FILE_MAX - used)) > 0)
        used += (size_t)got;
    close(source);
    text[used] = '\0';
    return got == 0 && strlen(text) == used;
}

static bool is_name(const char *name) {
    return *name && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == strlen(name);
}

bool load_settings(const char *file) {
    char *rest = text, *line;
    count = 0;
    if (!read_all(file))
        return false;
    while ((line = strsep(&rest, "\n"))) {
        char *value = strchr(line, '=');
        if (!*line)
            continue;
        if (!value || count == LINES_MAX)
            return false;
        *value = '\0';
        if (!is_name(line))
            return false;
        lines[count].name = line;
        lines[count++].value = value + 1;
    }
    return count > 0;
}

const char *setting(const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(lines[i].name, name) == 0)
            return lines[i].value;
    return NULL;
}

void apply_settings(bool listens) {
    for (size_t i = 0; i < count; i++)
        if (listens || !strstr(lines[i].name, "SECRET"))
            setenv(lines[i].name, lines[i].value, 1);
}
