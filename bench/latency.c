// The round trip as a bare client measures it: 50 connections, 5,000 messages a second, epoll.
//
//     latency PORT MESSAGES AT_ONCE
//
// AT_ONCE connections in turn send a message each at the same time; 1: a message each 0.2 ms.
// Prints the median and the 99th percentile in microseconds.
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client.h"

#define CONNECTIONS 50
#define BETWEEN_MESSAGES 200000

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int messages = atoi(argv[2]), at_once = atoi(argv[3]);
    int sockets[CONNECTIONS], done = 0, next = 0, epoll = epoll_create1(0);
    long sent[CONNECTIONS] = {0}, *took = calloc(messages, sizeof(long));
    open_connections(sockets, CONNECTIONS, atoi(argv[1]), epoll);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    long pause = (long)at_once * BETWEEN_MESSAGES;
    struct itimerspec every = {{0, pause}, {0, pause}};
    timerfd_settime(timer, 0, &every, NULL);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = CONNECTIONS};
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    while (done < messages) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, 10000);
        if (n <= 0)
            return 1;
        for (int i = 0; i < n; i++) {
            unsigned from = events[i].data.u32;
            char buffer[4096];
            if (from == CONNECTIONS) {
                unsigned long ticks;
                if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
                    return 1;
                for (int k = 0; k < at_once; k++, next = (next + 1) % CONNECTIONS) {
                    if (sent[next])
                        continue;
                    sent[next] = now_ns();
                    if (write(sockets[next], MESSAGE, LENGTH) != LENGTH)
                        return 1;
                }
            } else if (read(sockets[from], buffer, sizeof(buffer)) == LENGTH) {
                if (done < messages)
                    took[done++] = now_ns() - sent[from];
                sent[from] = 0;
            } else {
                return 1;
            }
        }
    }
    qsort(took, messages, sizeof(long), by_value);
    printf("%.1f %.1f\n", took[messages / 2] / 1e3, took[(long)messages * 99 / 100] / 1e3);
    return 0;
}
