#define _GNU_SOURCE
#include "home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 128, RIGHTS_MAX = 128 };
static const char MARK[] = ".cadre-rights";
enum outcome { REMOVED, HOLDS_A_MOUNT, FAILED };

static enum outcome empty(int folder, dev_t device, int depth);

static enum outcome remove_entry(int folder, const char *name, dev_t device, int depth) {
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? REMOVED : FAILED;
    if (!S_ISDIR(found.st_mode))
        return unlinkat(folder, name, 0) && errno != ENOENT ? (errno == EBUSY ? HOLDS_A_MOUNT : FAILED) : REMOVED;
    if (found.st_dev != device)
        return HOLDS_A_MOUNT; /* the agent's configuration: read-only, not the agent's to fill */
    int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0 && fchmodat(folder, name, 0700, 0) == 0)
        inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0)
        return FAILED;
    enum outcome outcome = empty(inner, device, depth + 1);
    if (outcome == REMOVED && unlinkat(folder, name, AT_REMOVEDIR))
        return errno == EBUSY ? HOLDS_A_MOUNT : FAILED;
    return outcome;
}

/* Takes `folder` over. */
static enum outcome empty(int folder, dev_t device, int depth) {
    enum outcome worst = REMOVED;
    DIR *list = depth < DEPTH_MAX ? fdopendir(folder) : NULL;
    if (!list) {
        close(folder);
        return FAILED;
    }
    for (struct dirent *entry; (entry = readdir(list));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        enum outcome outcome = remove_entry(folder, entry->d_name, device, depth);
        worst = outcome > worst ? outcome : worst;
    }
    closedir(list);
    return worst;
}

static bool marked(int home, const char *rights) {
    char found[RIGHTS_MAX + 1] = {0};
    int file = openat(home, MARK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t count = file < 0 ? -1 : read(file, found, RIGHTS_MAX);
    if (file >= 0)
        close(file);
    return count > 0 && strcmp(found, rights) == 0;
}

static bool mark(int home, const char *rights) {
    int file = openat(home, MARK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    ssize_t length = (ssize_t)strlen(rights);
    bool written = file >= 0 && write(file, rights, (size_t)length) == length;
    return file >= 0 && close(file) == 0 && written;
}

bool fresh_home(const char *home, const char *rights) {
    const char *keep = getenv("CADRE_KEEP_HOME");
    struct stat found;
    if (!home || *home != '/' || strcmp(home, "/") == 0 || !rights || !*rights || strlen(rights) > RIGHTS_MAX)
        return false;
    int root = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || fstat(root, &found))
        return false;
    bool done = keep && strcmp(keep, "1") == 0 && marked(root, rights);
    if (!done) {
        int folder = fcntl(root, F_DUPFD_CLOEXEC, 3);
        done = folder >= 0 && empty(folder, found.st_dev, 0) != FAILED && mark(root, rights);
    }
    close(root);
    return done;
}
