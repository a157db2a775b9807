// SPDX-License-Identifier: Apache-2.0
// What Glibc's module map leaves out or makes awkward: many datagrams a system call with the addresses they came to, streams, epoll, threads.

#ifndef C_SOCKETS_H
#define C_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Addresses are 16 bytes in network order; IPv4 is mapped (RFC 4291 §2.5.5.2).
typedef struct {
    uint64_t high;
    uint64_t low;
} datagram_address;

/// Where a datagram came from and to; a reply goes back the same way.
typedef struct {
    datagram_address peer;
    /// All zero when the socket does not report it.
    datagram_address local;
    /// The interface of a link-local peer, else 0.
    uint32_t scope;
    uint16_t port;
} datagram_route;

typedef struct {
    datagram_route route;
    /// Where the bytes lie in the area given to `datagrams_send`.
    size_t offset;
    size_t length;
} datagram_reply;

/// Buffers for one reading thread.
typedef struct datagram_batch datagram_batch;

/// Null without memory.
datagram_batch *_Nullable datagram_batch_create(unsigned capacity, size_t largest);
void datagram_batch_free(datagram_batch *_Nonnull batch);

/// Waits for the first datagram and takes what else is there. Returns how many, or a negative errno.
int datagram_batch_receive(datagram_batch *_Nonnull batch, int socket);
const uint8_t *_Nonnull datagram_batch_bytes(const datagram_batch *_Nonnull batch, int index);
size_t datagram_batch_length(const datagram_batch *_Nonnull batch, int index);
/// Whether the datagram was longer than its buffer.
bool datagram_batch_truncated(const datagram_batch *_Nonnull batch, int index);
datagram_route datagram_batch_route(const datagram_batch *_Nonnull batch, int index);

/// Sends without waiting. `together` lets what goes the same way leave in one piece that the kernel cuts (UDP_SEGMENT, udp(7));
/// it sorts `replies` for that. Returns how many of the first were taken (at most 64 a call), or a negative errno when the first
/// was refused.
int datagrams_send(
    int socket, bool is_v6, const uint8_t *_Nonnull bytes, datagram_reply *_Nonnull replies, size_t count, bool together);

/// Opens and binds. Returns the socket, or a negative errno; `*port` is the bound port afterwards.
int datagrams_open(datagram_address address, bool is_v6, uint16_t *_Nonnull port);
/// Asks for a receive buffer, over the system's limit where allowed; returns the bytes granted.
int datagrams_grow_buffer(int socket, int bytes);
/// Lets a blocked `datagram_batch_receive` return from time to time.
int datagrams_set_receive_timeout(int socket, unsigned milliseconds);
/// Wakes a blocked `datagram_batch_receive` for good; sending still works.
void datagrams_stop_receiving(int socket);
void datagrams_close(int socket);
/// Waits until the socket takes more; false after the time.
bool datagrams_wait_writable(int socket, int milliseconds);
/// Waits until one of the sockets (at most 256) has a datagram; false after the time.
bool datagrams_wait_readable(const int *_Nonnull sockets, size_t count, uint64_t nanoseconds);

/// Streams: all without waiting; every failure is a negative errno.

/// Listens for connections. Returns the socket; `*port` is the bound port afterwards.
int streams_listen(datagram_address address, bool is_v6, uint16_t *_Nonnull port);
/// Connects, which waits five seconds at most. Returns the socket.
int streams_connect(datagram_address address, bool is_v6, uint16_t port);
/// Takes one connection; `*route` says from whom.
int streams_accept(int listener, datagram_route *_Nonnull route);
/// Returns how many bytes; 0 at the end.
long streams_read(int socket, void *_Nonnull bytes, size_t count);
long streams_write(int socket, const void *_Nonnull bytes, size_t count);

/// One of the descriptors that a poller watches has something to do.
typedef struct {
    uint64_t name;
    bool is_readable;
    bool is_writable;
    /// The other side is gone.
    bool is_broken;
} poller_event;

int poller_create(void);
/// Watches a descriptor under a name; `is_new` the first time.
int poller_watch(int poller, int descriptor, uint64_t name, bool reads, bool writes, bool is_new);
/// Waits until something can be done; at most 64 at once.
int poller_wait(int poller, poller_event *_Nonnull events, int capacity, int milliseconds);
/// A descriptor that becomes readable when it is woken.
int waker_create(void);
void waker_wake(int waker);
void waker_clear(int waker);

/// A latch that one thread waits on: counting semaphore with a time limit.
typedef struct thread_latch thread_latch;
thread_latch *_Nullable thread_latch_create(void);
void thread_latch_free(thread_latch *_Nonnull latch);
void thread_latch_release(thread_latch *_Nonnull latch);
/// False after the time.
bool thread_latch_wait(thread_latch *_Nonnull latch, unsigned milliseconds);

/// What this thread does with replies: 0 sends them, others gather them; set by the door alone.
uintptr_t thread_role(void);
void thread_set_role(uintptr_t role);

/// Starts a detached thread. Returns an errno or 0.
int thread_start(const char *_Nonnull name, void (*_Nonnull body)(void *_Nonnull), void *_Nonnull context);

#endif
