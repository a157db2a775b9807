// SPDX-License-Identifier: Apache-2.0
// libcurl, whose options are set by a variadic function, which Swift does not see: one function for each kind of value.

#pragma once

#include <curl/curl.h>
#include <stdbool.h>

static inline bool curl_set_text(CURL *_Nonnull transfer, CURLoption option, const char *_Nullable value) {
    return curl_easy_setopt(transfer, option, value) == CURLE_OK;
}

static inline bool curl_set_number(CURL *_Nonnull transfer, CURLoption option, long value) {
    return curl_easy_setopt(transfer, option, value) == CURLE_OK;
}

/// Copied.
static inline bool curl_set_bytes(CURL *_Nonnull transfer, CURLoption option, const void *_Nonnull bytes, size_t count) {
    struct curl_blob blob = {.data = (void *)bytes, .len = count, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(transfer, option, &blob) == CURLE_OK;
}

/// Not copied: it has to live as long as the transfer.
static inline bool curl_set_list(CURL *_Nonnull transfer, CURLoption option, struct curl_slist *_Nullable list) {
    return curl_easy_setopt(transfer, option, list) == CURLE_OK;
}

/// At least CURL_ERROR_SIZE bytes.
static inline bool curl_set_error_buffer(CURL *_Nonnull transfer, char *_Nonnull buffer) {
    return curl_easy_setopt(transfer, CURLOPT_ERRORBUFFER, buffer) == CURLE_OK;
}

typedef size_t (*curl_reader)(char *_Nullable buffer, size_t size, size_t count, void *_Nullable context);
typedef int (*curl_listener)(
    CURL *_Nullable transfer, curl_infotype kind, char *_Nullable bytes, size_t count, void *_Nullable context);
typedef int (*curl_watcher)(
    void *_Nullable context, curl_off_t toLoad, curl_off_t loaded, curl_off_t toSend, curl_off_t sent);

static inline bool curl_set_reader(CURL *_Nonnull transfer, curl_reader _Nonnull reader, void *_Nonnull context) {
    return curl_easy_setopt(transfer, CURLOPT_READFUNCTION, reader) == CURLE_OK
        && curl_easy_setopt(transfer, CURLOPT_READDATA, context) == CURLE_OK;
}

static inline bool curl_set_listener(CURL *_Nonnull transfer, curl_listener _Nonnull listener, void *_Nonnull context) {
    return curl_easy_setopt(transfer, CURLOPT_DEBUGFUNCTION, listener) == CURLE_OK
        && curl_easy_setopt(transfer, CURLOPT_DEBUGDATA, context) == CURLE_OK
        && curl_easy_setopt(transfer, CURLOPT_VERBOSE, 1L) == CURLE_OK;
}

static inline bool curl_set_watcher(CURL *_Nonnull transfer, curl_watcher _Nonnull watcher, void *_Nonnull context) {
    return curl_easy_setopt(transfer, CURLOPT_XFERINFOFUNCTION, watcher) == CURLE_OK
        && curl_easy_setopt(transfer, CURLOPT_XFERINFODATA, context) == CURLE_OK
        && curl_easy_setopt(transfer, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

static inline bool curl_begin(void) { return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; }

/// Those that Swift does not see as numbers of their own type.
static inline long curl_use_tls_always(void) { return CURLUSESSL_ALL; }
static inline long curl_use_tls_never(void) { return CURLUSESSL_NONE; }
static inline long curl_oldest_tls(void) { return CURL_SSLVERSION_TLSv1_2; }
