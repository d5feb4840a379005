// What a round trip costs a bare client that computes between messages, as anything that runs a script has to.
//
//     computing PORT CONNECTIONS MESSAGES NANOSECONDS LINES
//
// One message is in flight on each connection. For each that comes back it touches LINES cache lines out of the 96 KiB that
// belong to the connection, computes for NANOSECONDS in all, and sends the next. Prints CPU microseconds per message.
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"

#define OWN_LINES 1536

struct line {
    volatile uint64_t count;
    char rest[56];
};

static void compute(struct line *own, long nanoseconds, int lines)
{
    if (nanoseconds == 0 && lines == 0)
        return;
    long began = now_ns();
    uint64_t at = began;
    for (int i = 0; i < lines; i++) {
        at = at * 6364136223846793005u + 1442695040888963407u;
        own[(at >> 40) % OWN_LINES].count++;
    }
    while (now_ns() - began < nanoseconds)
        ;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    int connections = atoi(argv[2]), lines = atoi(argv[5]), epoll = epoll_create1(0);
    long messages = atol(argv[3]), nanoseconds = atol(argv[4]), done = 0;
    int *sockets = calloc(connections, sizeof(int));
    struct line *memory = calloc((size_t)connections * OWN_LINES, sizeof(struct line));
    open_connections(sockets, connections, atoi(argv[1]), epoll);
    double before = cpu_seconds();
    for (int i = 0; i < connections; i++)
        if (write(sockets[i], MESSAGE, LENGTH) != LENGTH)
            return 1;
    while (done < messages) {
        struct epoll_event events[512];
        int n = epoll_wait(epoll, events, 512, 10000);
        if (n <= 0)
            return 1;
        for (int i = 0; i < n; i++, done++) {
            unsigned from = events[i].data.u32;
            char buffer[4096];
            if (read(sockets[from], buffer, sizeof(buffer)) != LENGTH)
                return 1;
            compute(memory + (size_t)from * OWN_LINES, nanoseconds, lines);
            if (write(sockets[from], MESSAGE, LENGTH) != LENGTH)
                return 1;
        }
    }
    printf("%.2f\n", (cpu_seconds() - before) * 1e6 / done);
    return 0;
}
