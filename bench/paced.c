// A bare client that sends at a rate: CONNECTIONS connections in turn, RATE messages a second in all, each answered.
//
//     paced PORT CONNECTIONS RATE MESSAGES STEP
//
// It wakes for each message, or at multiples of STEP nanoseconds for all that are due until then. Prints the microseconds of CPU per
// message.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client.h"

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    int connections = atoi(argv[2]), messages = atoi(argv[4]), sent = 0, done = 0, epoll = epoll_create1(0);
    int *sockets = calloc(connections, sizeof(int));
    long between = 1000000000L / atoi(argv[3]), step = atol(argv[5]);
    open_connections(sockets, connections, atoi(argv[1]), epoll);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = connections};
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    long begun = now_ns();
    while (done < messages) {
        for (long now = now_ns(); sent < messages && begun + sent * between <= now; sent++)
            if (write(sockets[sent % connections], MESSAGE, LENGTH) != LENGTH)
                return 1;
        long due = begun + sent * between;
        if (step)
            due = begun + (due - begun + step - 1) / step * step;
        struct itimerspec at = {{0, 0}, {due / 1000000000L, due % 1000000000L}};
        if (sent < messages)
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, 10000);
        if (n <= 0)
            return 1;
        for (int i = 0; i < n; i++) {
            char buffer[4096];
            if (events[i].data.u32 == (unsigned)connections)
                continue;
            // Of two messages under way on a connection, both may be there.
            long got = read(sockets[events[i].data.u32], buffer, sizeof(buffer));
            if (got <= 0 || got % LENGTH)
                return 1;
            done += got / LENGTH;
        }
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%.3f\n", (used.ru_utime.tv_sec * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1e6 + used.ru_stime.tv_usec) / messages);
    return 0;
}
