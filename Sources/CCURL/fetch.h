// SPDX-License-Identifier: Apache-2.0
// One document by HTTP. libcurl sets its options by a function of variable arguments, which Swift does not call.

#pragma once

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/// What came. `curl_fetched_free` frees what it holds.
typedef struct curl_fetched {
    CURLcode code;
    /// Of HTTP; 0 where none came.
    long status;
    unsigned char *_Nullable bytes;
    size_t count;
    size_t limit;
    bool is_too_long;
    /// Addresses of this host and of its link are not connected to; and one was.
    bool refuses_inner;
    bool is_inner;
    /// Where the server would rather have the request go; it does not go there.
    char *_Nullable elsewhere;
    char words[CURL_ERROR_SIZE];
} curl_fetched;

/// This host's own addresses, those of its link, nobody's and many's.
static inline bool curl_is_inner(const struct sockaddr *_Nonnull address) {
    unsigned char v4[4];
    if (address->sa_family == AF_INET) {
        memcpy(v4, &((const struct sockaddr_in *)address)->sin_addr, sizeof v4);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(v6))
            return IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_UNSPECIFIED(v6) || IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MULTICAST(v6);
        memcpy(v4, v6->s6_addr + 12, sizeof v4);
    } else {
        return true;
    }
    return v4[0] == 0 || v4[0] == 127 || v4[0] >= 224 || (v4[0] == 169 && v4[1] == 254);
}

/// Looks at the very address that is connected to: a name may stand for another one each time that it is looked up.
static inline curl_socket_t curl_fetch_open(void *_Nullable context, curlsocktype purpose, struct curl_sockaddr *_Nonnull address) {
    curl_fetched *fetched = context;
    (void)purpose;
    if (fetched->refuses_inner && curl_is_inner(&address->addr)) {
        fetched->is_inner = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static inline size_t curl_fetch_take(char *_Nonnull bytes, size_t size, size_t count, void *_Nullable context) {
    curl_fetched *fetched = context;
    size_t more = size * count;
    if (more > fetched->limit - fetched->count) {
        fetched->is_too_long = true;
        return CURL_WRITEFUNC_ERROR;
    }
    unsigned char *room = realloc(fetched->bytes, fetched->count + more + 1);
    if (!room) return CURL_WRITEFUNC_ERROR;
    memcpy(room + fetched->count, bytes, more);
    fetched->bytes = room;
    fetched->count += more;
    return more;
}

/// Blocks for at most `milliseconds`. By http and https alone; follows nothing, stores nothing, decompresses nothing.
///
/// `body`: what is posted as `content_type`; null: it is a GET. `refuses_inner`: and no proxy of the environment is asked either, since that
/// one would connect in its place.
static inline void curl_fetch(
    const char *_Nonnull url, const unsigned char *_Nullable body, size_t body_count, const char *_Nullable content_type, long milliseconds,
    size_t limit, bool refuses_inner, curl_fetched *_Nonnull fetched) {
    memset(fetched, 0, sizeof *fetched);
    fetched->limit = limit;
    fetched->refuses_inner = refuses_inner;
    fetched->code = CURLE_FAILED_INIT;
    CURL *handle = curl_easy_init();
    if (!handle) return;
    struct curl_slist *headers = NULL;
    bool isSet = curl_easy_setopt(handle, CURLOPT_URL, url) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK && curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, milliseconds) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limit) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_USERAGENT, "sallyport") == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, fetched->words) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, curl_fetch_open) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, fetched) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, curl_fetch_take) == CURLE_OK
        && curl_easy_setopt(handle, CURLOPT_WRITEDATA, fetched) == CURLE_OK;
    if (isSet && refuses_inner) isSet = curl_easy_setopt(handle, CURLOPT_PROXY, "") == CURLE_OK;
    if (isSet && body) {
        char line[128];
        snprintf(line, sizeof line, "Content-Type: %s", content_type ? content_type : "application/octet-stream");
        headers = curl_slist_append(NULL, line);
        isSet = headers && curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers) == CURLE_OK
            && curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, (long)body_count) == CURLE_OK
            && curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body) == CURLE_OK;
    }
    if (isSet) {
        fetched->code = curl_easy_perform(handle);
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &fetched->status);
        const char *elsewhere = NULL;
        if (curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &elsewhere) == CURLE_OK && elsewhere) fetched->elsewhere = strdup(elsewhere);
    }
    curl_easy_cleanup(handle);
    curl_slist_free_all(headers);
}

static inline void curl_fetched_free(curl_fetched *_Nonnull fetched) {
    free(fetched->bytes);
    free(fetched->elsewhere);
    fetched->bytes = NULL;
    fetched->elsewhere = NULL;
}

/// Null-terminated.
static inline const char *_Nonnull curl_fetched_words(const curl_fetched *_Nonnull fetched) {
    return fetched->words[0] ? fetched->words : curl_easy_strerror(fetched->code);
}
