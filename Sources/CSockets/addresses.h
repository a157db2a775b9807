// SPDX-License-Identifier: Apache-2.0
// Addresses of this target and of the system, to and fro.

#ifndef ADDRESSES_H
#define ADDRESSES_H

#include "CSockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static inline uint64_t word_at(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int index = 0; index < 8; index++) word = word << 8 | bytes[index];
    return word;
}

static inline void put_word(uint8_t *bytes, uint64_t word) {
    for (int index = 7; index >= 0; index--, word >>= 8) bytes[index] = (uint8_t)word;
}

static inline datagram_address address_of_v4(struct in_addr address) {
    return (datagram_address){0, UINT64_C(0xFFFF00000000) | ntohl(address.s_addr)};
}

static inline datagram_address address_of_v6(const struct in6_addr *address) {
    return (datagram_address){word_at(address->s6_addr), word_at(address->s6_addr + 8)};
}

static inline struct in_addr v4_of(datagram_address address) {
    return (struct in_addr){htonl((uint32_t)address.low)};
}

static inline struct in6_addr v6_of(datagram_address address) {
    struct in6_addr result;
    put_word(result.s6_addr, address.high);
    put_word(result.s6_addr + 8, address.low);
    return result;
}

/// A name for bind(2), with its length.
typedef struct {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t length;
} socket_name;

static inline socket_name name_of(datagram_address address, bool is_v6, uint16_t port) {
    socket_name name;
    memset(&name, 0, sizeof name);
    if (is_v6) {
        name.v6.sin6_family = AF_INET6;
        name.v6.sin6_addr = v6_of(address);
        name.v6.sin6_port = htons(port);
        name.length = sizeof name.v6;
    } else {
        name.v4.sin_family = AF_INET;
        name.v4.sin_addr = v4_of(address);
        name.v4.sin_port = htons(port);
        name.length = sizeof name.v4;
    }
    return name;
}

/// The port of a name that `getsockname` filled.
static inline uint16_t port_of(const socket_name *name) {
    return ntohs(name->any.sa_family == AF_INET6 ? name->v6.sin6_port : name->v4.sin_port);
}

/// Who a system call names, with port and scope; all zero when it names nobody.
static inline datagram_route route_from(const struct sockaddr_in6 *peer, socklen_t length) {
    datagram_route route = {0};
    if (length >= sizeof(struct sockaddr_in) && peer->sin6_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        route.peer = address_of_v4(v4.sin_addr);
        route.port = ntohs(v4.sin_port);
    } else if (length >= sizeof *peer && peer->sin6_family == AF_INET6) {
        route.peer = address_of_v6(&peer->sin6_addr);
        route.port = ntohs(peer->sin6_port);
        route.scope = peer->sin6_scope_id;
    }
    return route;
}

#endif
