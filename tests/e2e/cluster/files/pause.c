/* Keeps a pod's namespaces open until it is told to stop, and reaps what a shared process namespace leaves to it. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
	if (signal != SIGCHLD) stopping = 1;
}

int main(void) {
	const int signals[] = {SIGINT, SIGTERM, SIGCHLD};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &all, 0);
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigaction(signals[i], &action, 0) != 0) return 1;
	while (!stopping) {
		sigsuspend(&none);
		while (waitpid(-1, 0, WNOHANG) > 0) {}
	}
	return 0;
}
