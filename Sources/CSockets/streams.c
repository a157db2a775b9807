// SPDX-License-Identifier: Apache-2.0
// TCP sockets and epoll, without waiting.

#define _GNU_SOURCE
#include "addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAITING_TO_BE_ACCEPTED = 512, EVENTS_AT_ONCE = 64 };

int streams_listen(datagram_address address, bool is_v6, uint16_t *port) {
    int opened = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) return -errno;
    const int on = 1;
    socket_name name = name_of(address, is_v6, *port);
    // A restart must not wait for the connections of the process before.
    int failed = setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)
        || (is_v6 && setsockopt(opened, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    if (failed || bind(opened, &name.any, name.length) || listen(opened, WAITING_TO_BE_ACCEPTED)
        || getsockname(opened, &name.any, &name.length)) {
        int error = errno;
        close(opened);
        return -error;
    }
    *port = port_of(&name);
    return opened;
}

int streams_connect(datagram_address address, bool is_v6, uint16_t port) {
    int opened = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened < 0) return -errno;
    const int on = 1;
    const struct timeval patience = {.tv_sec = 5};
    socket_name name = name_of(address, is_v6, port);
    if (setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)
        || setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) || connect(opened, &name.any, name.length)) {
        int error = errno;
        close(opened);
        return -error;
    }
    return opened;
}

int streams_accept(int listener, datagram_route *route) {
    struct sockaddr_in6 peer;
    memset(&peer, 0, sizeof peer);
    socklen_t length = sizeof peer;
    int accepted = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0) return -errno;
    *route = route_from(&peer, length);
    const int on = 1, idle = 60, between = 15, probes = 4;
    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A gateway that lost its power says no goodbye.
    setsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(accepted, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(accepted, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
    setsockopt(accepted, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    return accepted;
}

long streams_read(int socket, void *bytes, size_t count) {
    ssize_t taken = recv(socket, bytes, count, MSG_DONTWAIT);
    return taken < 0 ? -errno : taken;
}

long streams_write(int socket, const void *bytes, size_t count) {
    ssize_t sent = send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

int poller_create(void) {
    int created = epoll_create1(EPOLL_CLOEXEC);
    return created < 0 ? -errno : created;
}

int poller_watch(int poller, int descriptor, uint64_t name, bool reads, bool writes, bool is_new) {
    struct epoll_event event = {.events = (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0), .data.u64 = name};
    return epoll_ctl(poller, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event) ? -errno : 0;
}

int poller_wait(int poller, poller_event *events, int capacity, int milliseconds) {
    struct epoll_event found[EVENTS_AT_ONCE];
    int count = epoll_wait(poller, found, capacity < EVENTS_AT_ONCE ? capacity : EVENTS_AT_ONCE, milliseconds);
    if (count < 0) return -errno;
    for (int index = 0; index < count; index++)
        events[index] = (poller_event){
            .name = found[index].data.u64,
            .is_readable = found[index].events & EPOLLIN,
            .is_writable = found[index].events & EPOLLOUT,
            .is_broken = found[index].events & (EPOLLERR | EPOLLHUP),
        };
    return count;
}

int waker_create(void) {
    int created = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return created < 0 ? -errno : created;
}

void waker_wake(int waker) {
    const uint64_t one = 1;
    ssize_t written = write(waker, &one, sizeof one);
    (void)written;
}

void waker_clear(int waker) {
    uint64_t count;
    ssize_t taken = read(waker, &count, sizeof count);
    (void)taken;
}
