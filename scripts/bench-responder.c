// SPDX-License-Identifier: Apache-2.0
// What a login costs at least: a RADIUS server with nothing but the packet's cryptography. It takes many datagrams a call, checks
// Message-Authenticator, unhides the password, and accepts whoever shows six digits, in a reply with Message-Authenticator and Response
// Authenticator. It knows no user, keeps nothing and writes nothing. scripts/bench builds and loads it; it is no server for anybody.
//
// bench-responder PORT SECRET-FILE

#define _GNU_SOURCE
#define OPENSSL_API_COMPAT 0x10100000L
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 64, LARGEST = 4096, HEADER = 20, DIGEST = 16, BLOCK = 64, DIGITS = 6,
    ACCESS_REQUEST = 1, ACCESS_ACCEPT = 2, USER_PASSWORD = 2, MESSAGE_AUTHENTICATOR = 80, SIGNED = 2 + DIGEST, LONGEST_PASSWORD = 128,
};

static uint8_t secret[256];
static size_t secret_length;
// The digests of one secret begin alike.
static MD5_CTX inner, outer, prefix;

static void prepare(void) {
    uint8_t key[BLOCK] = {0}, padded[BLOCK];
    if (secret_length > BLOCK) MD5(secret, secret_length, key);
    else memcpy(key, secret, secret_length);
    for (int at = 0; at < BLOCK; at++) padded[at] = key[at] ^ 0x36;
    MD5_Init(&inner);
    MD5_Update(&inner, padded, BLOCK);
    for (int at = 0; at < BLOCK; at++) padded[at] = key[at] ^ 0x5C;
    MD5_Init(&outer);
    MD5_Update(&outer, padded, BLOCK);
    MD5_Init(&prefix);
    MD5_Update(&prefix, secret, secret_length);
}

static void finish_hmac(MD5_CTX *digest, uint8_t result[DIGEST]) {
    MD5_CTX end = outer;
    MD5_Final(result, digest);
    MD5_Update(&end, result, DIGEST);
    MD5_Final(result, &end);
}

// RFC 3579 §3.2: over the packet with zeros in the attribute's place.
static bool is_signed(const uint8_t *packet, size_t length, size_t signature) {
    static const uint8_t zeros[DIGEST];
    uint8_t expected[DIGEST];
    MD5_CTX digest = inner;
    MD5_Update(&digest, packet, signature);
    MD5_Update(&digest, zeros, DIGEST);
    MD5_Update(&digest, packet + signature + DIGEST, length - signature - DIGEST);
    finish_hmac(&digest, expected);
    return CRYPTO_memcmp(expected, packet + signature, DIGEST) == 0;
}

// RFC 2865 §5.2.
static bool is_code(const uint8_t *packet, const uint8_t *hidden, size_t length) {
    uint8_t clear[LONGEST_PASSWORD], stream[DIGEST];
    const uint8_t *previous = packet + 4;
    for (size_t start = 0; start < length; start += DIGEST) {
        MD5_CTX digest = prefix;
        MD5_Update(&digest, previous, DIGEST);
        MD5_Final(stream, &digest);
        for (int at = 0; at < DIGEST; at++) clear[start + at] = hidden[start + at] ^ stream[at];
        previous = hidden + start;
    }
    for (size_t at = 0; at < length; at++)
        if (at < DIGITS ? clear[at] < '0' || clear[at] > '9' : clear[at] != 0) return false;
    return true;
}

// Returns the length of the reply; 0: none.
static size_t answer(const uint8_t *packet, size_t received, uint8_t *reply) {
    if (received < HEADER || packet[0] != ACCESS_REQUEST) return 0;
    const size_t length = (size_t)packet[2] << 8 | packet[3];
    if (length < HEADER || length > received) return 0;
    size_t signature = 0, password = 0, password_length = 0;
    for (size_t at = HEADER; at < length;) {
        if (at + 2 > length || packet[at + 1] < 2 || at + packet[at + 1] > length) return 0;
        if (packet[at] == MESSAGE_AUTHENTICATOR && packet[at + 1] == SIGNED) signature = at + 2;
        if (packet[at] == USER_PASSWORD) {
            password = at + 2;
            password_length = packet[at + 1] - 2;
        }
        at += packet[at + 1];
    }
    if (!signature || !password || !password_length || password_length % DIGEST || password_length > LONGEST_PASSWORD) return 0;
    if (!is_signed(packet, length, signature) || !is_code(packet, packet + password, password_length)) return 0;
    reply[0] = ACCESS_ACCEPT;
    reply[1] = packet[1];
    reply[2] = 0;
    reply[3] = HEADER + SIGNED;
    memcpy(reply + 4, packet + 4, DIGEST);
    reply[HEADER] = MESSAGE_AUTHENTICATOR;
    reply[HEADER + 1] = SIGNED;
    memset(reply + HEADER + 2, 0, DIGEST);
    MD5_CTX digest = inner;
    MD5_Update(&digest, reply, HEADER + SIGNED);
    finish_hmac(&digest, reply + HEADER + 2);
    // RFC 2865 §3: over the reply with the request's authenticator in its place, and the secret.
    MD5_Init(&digest);
    MD5_Update(&digest, reply, HEADER + SIGNED);
    MD5_Update(&digest, secret, secret_length);
    MD5_Final(reply + 4, &digest);
    return HEADER + SIGNED;
}

static int fail(const char *what) {
    perror(what);
    return EXIT_FAILURE;
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("usage: bench-responder PORT SECRET-FILE\n", stderr);
        return 64;
    }
    FILE *file = fopen(arguments[2], "r");
    if (!file) return fail(arguments[2]);
    secret_length = fread(secret, 1, sizeof secret, file);
    fclose(file);
    while (secret_length && (secret[secret_length - 1] == '\n' || secret[secret_length - 1] == '\r')) secret_length--;
    prepare();

    const int bytes = 4 << 20;
    const struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int opened = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (opened < 0 || bind(opened, (const struct sockaddr *)&own, sizeof own)) return fail("bench-responder");
    if (setsockopt(opened, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes)) setsockopt(opened, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);

    static uint8_t requests[BATCH][LARGEST], replies[BATCH][HEADER + SIGNED];
    static struct sockaddr_in peers[BATCH];
    static struct iovec areas[BATCH], answers[BATCH];
    static struct mmsghdr taken[BATCH], sent[BATCH];
    for (;;) {
        for (int at = 0; at < BATCH; at++) {
            areas[at] = (struct iovec){.iov_base = requests[at], .iov_len = LARGEST};
            taken[at].msg_hdr = (struct msghdr){
                .msg_name = &peers[at], .msg_namelen = sizeof peers[at], .msg_iov = &areas[at], .msg_iovlen = 1};
        }
        int received = recvmmsg(opened, taken, BATCH, MSG_WAITFORONE, NULL);
        if (received < 0 && errno != EINTR) return fail("recvmmsg");
        int ready = 0;
        for (int at = 0; at < received; at++) {
            size_t length = answer(requests[at], taken[at].msg_len, replies[ready]);
            if (!length) continue;
            answers[ready] = (struct iovec){.iov_base = replies[ready], .iov_len = length};
            sent[ready].msg_hdr = (struct msghdr){
                .msg_name = &peers[at], .msg_namelen = sizeof peers[at], .msg_iov = &answers[ready], .msg_iovlen = 1};
            ready++;
        }
        for (int done = 0; done < ready;) {
            int more = sendmmsg(opened, sent + done, (unsigned)(ready - done), 0);
            // One that cannot be sent is left out: its gateway asks again.
            done += more > 0 ? more : 1;
        }
    }
}
