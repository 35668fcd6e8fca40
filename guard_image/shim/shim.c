/* Starts an agent inside its container, with what the guard left for it in a file.
 *
 *   cadre-shim install TARGET                  copy this program (the guard does)
 *   cadre-shim run FILE -- COMMAND...          accompany an agent that listens for ACP by itself
 *   cadre-shim stdio FILE PORT -- COMMAND...   serve an agent that speaks ACP on its pipes, at 127.0.0.1:PORT
 *
 * Static, because an agent's image may hold nothing but the agent. In `stdio` a connection is an agent: the first
 * line must show the key, the command runs while the connection lasts, and nothing of it outlives the connection.
 * What an agent prints may quote what it was told, so it is written nowhere unless CADRE_AGENT_LOG=1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "home.h"
#include "settings.h"

enum { GREETING_MAX = 256, GREETING_MS = 5000, BUFFER = 65536, BACKLOG = 16, FIRST_FREE_FD = 3 };
static const char GREETING[] = "CADRE1 ";
static volatile sig_atomic_t stopping;
static sigset_t open_mask;

static int fail(const char *what) {
    dprintf(STDERR_FILENO, "cadre-shim: %s: %s\n", what, errno ? strerror(errno) : "not usable");
    return 1;
}

static void on_stop(int number) {
    (void)number;
    stopping = 1;
}

/* Signals arrive only inside ppoll: no window between looking at `stopping` and waiting. */
static void hold_signals(void) {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, &open_mask);
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void restore_signals(void) {
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &open_mask, NULL);
}

static void mute(int descriptor) {
    const char *wanted = getenv("CADRE_AGENT_LOG");
    int nowhere;
    if (wanted && strcmp(wanted, "1") == 0)
        return;
    if ((nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0) {
        dup2(nowhere, descriptor);
        close(nowhere);
    }
}

/* After a restart of the node a pod's volume still has the copy of before, which nobody may write to. */
static int install(const char *target) {
    char buffer[BUFFER];
    ssize_t count;
    if (unlink(target) && errno != ENOENT)
        return fail(target);
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0555);
    if (from < 0 || to < 0)
        return fail(target);
    while ((count = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, (size_t)count) != count)
            return fail(target);
    return count < 0 || fchmod(to, 0555) || close(to) ? fail(target) : 0;
}

/* The agent ended: as it did, for whoever started us. */
static int verdict(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Not the agent itself: the first process of a container is spared every signal that it has no handler for, and an
 * agent without one would be stopped by the end of the grace period alone. */
static int accompany(char **command) {
    sigset_t awaited, before;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, SIGINT);
    sigaddset(&awaited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &awaited, &before);
    pid_t agent = fork();
    if (agent == 0) {
        int complaints = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        mute(STDERR_FILENO);
        execvp(command[0], command);
        dprintf(complaints, "cadre-shim: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    if (agent < 0)
        return fail(command[0]);
    for (;;) {
        int number = 0, status = 0;
        pid_t gone;
        sigwait(&awaited, &number);
        if (number != SIGCHLD)
            kill(agent, number);
        while ((gone = waitpid(-1, &status, WNOHANG)) > 0)
            if (gone == agent)
                return verdict(status);
    }
}

static int run(const char *file, char **command) {
    if (!load_settings(file))
        return fail(file);
    apply_settings(true);
    if (!fresh_home(getenv("HOME"), setting("CADRE_HOME_RIGHTS")))
        return fail("HOME");
    mute(STDOUT_FILENO);
    return accompany(command);
}

static int listen_at(long port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG))
        return -1;
    return listener;
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

/* One byte at a time: what follows the line belongs to the agent. */
static bool read_greeting(int client, char *line) {
    long until = now_ms() + GREETING_MS;
    for (size_t used = 0; used < GREETING_MAX - 1;) {
        long left = until - now_ms();
        struct pollfd look = {.fd = client, .events = POLLIN};
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000L};
        if (left <= 0 || stopping || ppoll(&look, 1, &wait, &open_mask) <= 0)
            return false;
        if (read(client, line + used, 1) != 1)
            return false;
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
    return false;
}

/* Time must not tell how much of the key was right. */
static bool same(const char *given, const char *wanted) {
    size_t length = strlen(wanted), differs = strlen(given) ^ length;
    for (size_t i = 0; i < length; i++)
        differs |= (size_t)((unsigned char)wanted[i] ^ (unsigned char)given[i % (strlen(given) + 1)]);
    return differs == 0;
}

static bool admitted(int client, const char *file) {
    char line[GREETING_MAX] = {0};
    if (!read_greeting(client, line) || strncmp(line, GREETING, sizeof GREETING - 1) != 0)
        return false;
    if (!load_settings(file)) /* anew each time: the guard renews the key */
        return false;
    const char *key = setting("CADRE_ACP_SECRET");
    return key && strlen(key) >= 32 && same(line + sizeof GREETING - 1, key);
}

static pid_t spawn(char **command, int *to_agent, int *from_agent) {
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    pid_t agent = -1;
    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0)
        agent = fork();
    if (agent == 0) {
        setpgid(0, 0);
        restore_signals();
        apply_settings(false);
        mute(STDERR_FILENO);
        if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
            _exit(126);
        execvp(command[0], command);
        _exit(127);
    }
    if (in[0] >= 0)
        close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    *to_agent = in[1];
    *from_agent = out[0];
    return agent;
}

/* Kill every process below us; orphans become our children, so the list ends when all are gone. */
static void end_all(pid_t agent) {
    const struct timespec moment = {.tv_nsec = 2000000L};
    if (agent > 0)
        kill(-agent, SIGKILL);
    for (;;) {
        char path[64], list[4096];
        pid_t gone;
        while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (gone < 0 && errno == ECHILD)
            return;
        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t count = file < 0 ? 0 : read(file, list, sizeof list - 1);
        if (file >= 0)
            close(file);
        list[count > 0 ? count : 0] = '\0';
        for (char *next = list, *end; *next; next = end) {
            long child = strtol(next, &end, 10);
            if (end == next || *end != ' ') /* a number cut short is another process */
                break;
            if (child > 1)
                kill((pid_t)child, SIGKILL);
        }
        nanosleep(&moment, NULL);
    }
}

struct lane {
    int from, to;
    size_t start, end;
    char bytes[BUFFER];
};

static short wants(const struct lane *lane, bool reading) {
    bool full = lane->end > lane->start;
    return reading ? (full ? 0 : POLLIN) : (full ? POLLOUT : 0);
}

/* One step of a lane; false when either side has ended. */
static bool carry(struct lane *lane, short readable, short writable) {
    if (lane->end == lane->start && readable & (POLLIN | POLLHUP | POLLERR)) {
        ssize_t count = read(lane->from, lane->bytes, sizeof lane->bytes);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        lane->start = 0;
        lane->end = count > 0 ? (size_t)count : 0;
    }
    if (lane->end > lane->start && writable & (POLLOUT | POLLHUP | POLLERR)) {
        ssize_t count = write(lane->to, lane->bytes + lane->start, lane->end - lane->start);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        lane->start += count > 0 ? (size_t)count : 0;
    }
    return true;
}

static void turn_away(int listener) {
    int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (other >= 0)
        close(other);
}

static void relay(int listener, int client, int to_agent, int from_agent) {
    static struct lane in, out;
    in = (struct lane){.from = client, .to = to_agent};
    out = (struct lane){.from = from_agent, .to = client};
    while (!stopping) {
        struct pollfd look[] = {
            {.fd = client, .events = (short)(wants(&in, true) | wants(&out, false))},
            {.fd = wants(&in, false) ? to_agent : -1, .events = POLLOUT},
            {.fd = wants(&out, true) ? from_agent : -1, .events = POLLIN},
            {.fd = listener, .events = POLLIN},
        };
        if (ppoll(look, 4, NULL, &open_mask) < 0)
            continue;
        if (look[3].revents)
            turn_away(listener);
        if (look[0].revents & (POLLERR | POLLHUP))
            return;
        if (!carry(&in, look[0].revents, look[1].revents) || !carry(&out, look[2].revents, look[0].revents))
            return;
    }
}

static void attend(int listener, int client, const char *file, char **command) {
    int to_agent = -1, from_agent = -1;
    if (!admitted(client, file) || !fresh_home(getenv("HOME"), setting("CADRE_HOME_RIGHTS")))
        return;
    pid_t agent = spawn(command, &to_agent, &from_agent);
    if (agent > 0 && write(client, "OK\n", 3) == 3) {
        fcntl(client, F_SETFL, O_NONBLOCK);
        fcntl(to_agent, F_SETFL, O_NONBLOCK);
        fcntl(from_agent, F_SETFL, O_NONBLOCK);
        relay(listener, client, to_agent, from_agent);
    }
    if (to_agent >= 0)
        close(to_agent);
    if (from_agent >= 0)
        close(from_agent);
    end_all(agent);
}

static int serve(const char *file, const char *port_text, char **command) {
    char *end;
    long port = strtol(port_text, &end, 10);
    int listener = *port_text && !*end && port > 0 && port < 65536 ? listen_at(port) : -1;
    if (listener < 0)
        return fail(port_text);
    hold_signals();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    while (!stopping) {
        struct pollfd look = {.fd = listener, .events = POLLIN};
        if (ppoll(&look, 1, NULL, &open_mask) <= 0)
            continue;
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        attend(listener, client, file, command);
        close(client);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "install") == 0)
        return install(argv[2]);
    if (argc >= 5 && strcmp(argv[1], "run") == 0 && strcmp(argv[3], "--") == 0)
        return run(argv[2], argv + 4);
    if (argc >= 6 && strcmp(argv[1], "stdio") == 0 && strcmp(argv[4], "--") == 0)
        return serve(argv[2], argv[3], argv + 5);
    dprintf(STDERR_FILENO, "cadre-shim: install TARGET | run FILE -- COMMAND... | stdio FILE PORT -- COMMAND...\n");
    return 2;
}
