// SPDX-License-Identifier: Apache-2.0
// recvmmsg and sendmmsg with packet information; every length is checked here.

#define _GNU_SOURCE
#include "addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    SEND_AT_ONCE = 64,
    LARGEST_BATCH = 256,
    MOST_SOCKETS = 256,
    // What the kernel cuts at once (UDP_MAX_SEGMENTS before Linux 6.9), below the path's usual MTU.
    MOST_SEGMENTS = 64,
    LARGEST_SEGMENT = 1200,
};

typedef union {
    struct cmsghdr header;
    char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
    char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} packet_information;

typedef union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
} send_information;

struct datagram_batch {
    unsigned capacity;
    size_t largest;
    struct mmsghdr *messages;
    struct iovec *pieces;
    struct sockaddr_in6 *peers;
    packet_information *information;
    uint8_t *bytes;
};

datagram_batch *datagram_batch_create(unsigned capacity, size_t largest) {
    if (capacity == 0 || capacity > LARGEST_BATCH || largest == 0 || largest > 65536) return NULL;
    datagram_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->capacity = capacity;
    batch->largest = largest;
    batch->messages = calloc(capacity, sizeof *batch->messages);
    batch->pieces = calloc(capacity, sizeof *batch->pieces);
    batch->peers = calloc(capacity, sizeof *batch->peers);
    batch->information = calloc(capacity, sizeof *batch->information);
    batch->bytes = malloc(capacity * largest);
    if (!batch->messages || !batch->pieces || !batch->peers || !batch->information || !batch->bytes) {
        datagram_batch_free(batch);
        return NULL;
    }
    for (unsigned index = 0; index < capacity; index++) {
        batch->pieces[index] = (struct iovec){batch->bytes + index * largest, largest};
        struct msghdr *header = &batch->messages[index].msg_hdr;
        header->msg_iov = &batch->pieces[index];
        header->msg_iovlen = 1;
        header->msg_name = &batch->peers[index];
        header->msg_control = &batch->information[index];
    }
    return batch;
}

void datagram_batch_free(datagram_batch *batch) {
    free(batch->messages);
    free(batch->pieces);
    free(batch->peers);
    free(batch->information);
    free(batch->bytes);
    free(batch);
}

int datagram_batch_receive(datagram_batch *batch, int socket) {
    for (unsigned index = 0; index < batch->capacity; index++) {
        struct msghdr *header = &batch->messages[index].msg_hdr;
        header->msg_namelen = sizeof(struct sockaddr_in6);
        header->msg_controllen = sizeof(packet_information);
        header->msg_flags = 0;
    }
    int count = recvmmsg(socket, batch->messages, batch->capacity, MSG_WAITFORONE, NULL);
    return count < 0 ? -errno : count;
}

const uint8_t *datagram_batch_bytes(const datagram_batch *batch, int index) {
    return batch->pieces[index].iov_base;
}

size_t datagram_batch_length(const datagram_batch *batch, int index) {
    size_t length = batch->messages[index].msg_len;
    return length < batch->largest ? length : batch->largest;
}

bool datagram_batch_truncated(const datagram_batch *batch, int index) {
    return batch->messages[index].msg_hdr.msg_flags & MSG_TRUNC;
}

datagram_route datagram_batch_route(const datagram_batch *batch, int index) {
    struct msghdr *header = &batch->messages[index].msg_hdr;
    datagram_route route = route_from(&batch->peers[index], header->msg_namelen);
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO
            && part->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo))) {
            struct in_pktinfo information;
            memcpy(&information, CMSG_DATA(part), sizeof information);
            route.local = address_of_v4(information.ipi_spec_dst);
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO
            && part->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
            struct in6_pktinfo information;
            memcpy(&information, CMSG_DATA(part), sizeof information);
            // A multicast address cannot be sent from; the kernel then chooses.
            if (!IN6_IS_ADDR_MULTICAST(&information.ipi6_addr)) route.local = address_of_v6(&information.ipi6_addr);
        }
    }
    return route;
}

static bool goes_the_same_way(const datagram_reply *one, const datagram_reply *other) {
    return one->length == other->length && one->route.port == other->route.port && one->route.scope == other->route.scope
        && one->route.peer.low == other->route.peer.low && one->route.peer.high == other->route.peer.high
        && one->route.local.low == other->route.local.low && one->route.local.high == other->route.local.high;
}

/// Brings the replies that go the same way as the first behind it; returns how many they are.
static size_t gather_first(datagram_reply *replies, size_t count) {
    if (replies->length > LARGEST_SEGMENT) return 1;
    size_t same = 1;
    for (size_t index = 1; index < count && same < MOST_SEGMENTS; index++) {
        if (!goes_the_same_way(replies, replies + index)) continue;
        datagram_reply found = replies[index];
        replies[index] = replies[same];
        replies[same++] = found;
    }
    return same;
}

static struct cmsghdr *next_part(struct msghdr *header, void *control) {
    struct cmsghdr *part = (struct cmsghdr *)((char *)control + header->msg_controllen);
    header->msg_control = control;
    return part;
}

static void add_part(struct msghdr *header, void *control, int level, int type, const void *value, size_t length) {
    struct cmsghdr *part = next_part(header, control);
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(part), value, length);
    header->msg_controllen += CMSG_SPACE(length);
}

// Some network cards cannot add the checksums that the kernel's cutting needs (EIO); then all goes one by one.
static atomic_bool cuts_segments = true;

int datagrams_send(int socket, bool is_v6, const uint8_t *bytes, datagram_reply *replies, size_t count, bool together) {
    struct mmsghdr messages[SEND_AT_ONCE];
    struct iovec pieces[SEND_AT_ONCE];
    socket_name peers[SEND_AT_ONCE];
    send_information information[SEND_AT_ONCE];
    if (count > SEND_AT_ONCE) count = SEND_AT_ONCE;
    memset(information, 0, count * sizeof *information);
    together = together && atomic_load_explicit(&cuts_segments, memory_order_relaxed);
    unsigned groups = 0;
    for (size_t index = 0; index < count; groups++) {
        const datagram_route *route = &replies[index].route;
        const size_t same = together ? gather_first(replies + index, count - index) : 1;
        for (size_t piece = index; piece < index + same; piece++)
            pieces[piece] = (struct iovec){(void *)(bytes + replies[piece].offset), replies[piece].length};
        peers[groups] = name_of(route->peer, is_v6, route->port);
        if (is_v6) peers[groups].v6.sin6_scope_id = route->scope;
        messages[groups] = (struct mmsghdr){.msg_hdr = {
            .msg_name = &peers[groups].any, .msg_namelen = peers[groups].length, .msg_iov = &pieces[index], .msg_iovlen = same}};
        struct msghdr *header = &messages[groups].msg_hdr;
        if (route->local.high | route->local.low) {
            if (is_v6) {
                const struct in6_pktinfo from = {.ipi6_addr = v6_of(route->local), .ipi6_ifindex = route->scope};
                add_part(header, &information[groups], IPPROTO_IPV6, IPV6_PKTINFO, &from, sizeof from);
            } else {
                const struct in_pktinfo from = {.ipi_spec_dst = v4_of(route->local)};
                add_part(header, &information[groups], IPPROTO_IP, IP_PKTINFO, &from, sizeof from);
            }
        }
        if (same > 1) {
            const uint16_t length = (uint16_t)replies[index].length;
            add_part(header, &information[groups], IPPROTO_UDP, UDP_SEGMENT, &length, sizeof length);
        }
        index += same;
    }
    int sent = sendmmsg(socket, messages, groups, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EIO || errno == EINVAL) && messages[0].msg_hdr.msg_iovlen > 1) {
        // Not cut here: the first of the group goes alone, and with EIO all others from now on.
        if (errno == EIO) atomic_store_explicit(&cuts_segments, false, memory_order_relaxed);
        return datagrams_send(socket, is_v6, bytes, replies, 1, false);
    }
    if (sent < 0) return -errno;
    int taken = 0;
    for (int index = 0; index < sent; index++) taken += (int)messages[index].msg_hdr.msg_iovlen;
    return taken;
}

int datagrams_open(datagram_address address, bool is_v6, uint16_t *port) {
    int opened = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (opened < 0) return -errno;
    const int on = 1;
    socket_name name = name_of(address, is_v6, *port);
    const bool is_wildcard = is_v6 ? !(address.high | address.low) : !name.v4.sin_addr.s_addr;
    int failed = is_v6 && setsockopt(opened, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    // Elsewhere the bound address is the one to answer from.
    if (is_wildcard)
        failed = failed || (is_v6 ? setsockopt(opened, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
                                  : setsockopt(opened, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    if (failed || bind(opened, &name.any, name.length) || getsockname(opened, &name.any, &name.length)) {
        int error = errno;
        close(opened);
        return -error;
    }
    *port = port_of(&name);
    return opened;
}

int datagrams_grow_buffer(int socket, int bytes) {
    // SO_RCVBUFFORCE goes over net.core.rmem_max, with CAP_NET_ADMIN.
    if (setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    int granted = 0;
    socklen_t length = sizeof granted;
    getsockopt(socket, SOL_SOCKET, SO_RCVBUF, &granted, &length);
    // The kernel doubles what is asked for its own bookkeeping (socket(7)).
    return granted / 2;
}

int datagrams_set_receive_timeout(int socket, unsigned milliseconds) {
    struct timeval time = {.tv_sec = milliseconds / 1000, .tv_usec = (suseconds_t)(milliseconds % 1000) * 1000};
    return setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) ? -errno : 0;
}

void datagrams_stop_receiving(int socket) {
    // Says ENOTCONN on an unconnected socket and wakes its readers all the same (Linux, inet_shutdown).
    shutdown(socket, SHUT_RD);
}

void datagrams_close(int socket) {
    close(socket);
}

bool datagrams_wait_writable(int socket, int milliseconds) {
    struct pollfd wanted = {.fd = socket, .events = POLLOUT};
    return poll(&wanted, 1, milliseconds) > 0;
}

bool datagrams_wait_readable(const int *sockets, size_t count, uint64_t nanoseconds) {
    struct pollfd wanted[MOST_SOCKETS];
    if (count > MOST_SOCKETS) return false;
    for (size_t index = 0; index < count; index++) wanted[index] = (struct pollfd){.fd = sockets[index], .events = POLLIN};
    const struct timespec patience = {.tv_sec = (time_t)(nanoseconds / 1000000000), .tv_nsec = (long)(nanoseconds % 1000000000)};
    return ppoll(wanted, count, &patience, NULL) > 0;
}
