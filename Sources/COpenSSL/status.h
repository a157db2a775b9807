// SPDX-License-Identifier: Apache-2.0
// What others say of certificates: revocation lists, OCSP, and chains that are judged again.

#pragma once

#include "shim.h"

#include <openssl/ocsp.h>

/// As the handshake found it good; behind a session that was taken up, or of a certificate that is trusted by itself, as it was shown.
/// What was shown may hold more, in any order.
static inline STACK_OF(X509) *_Nullable openssl_chain(const SSL *_Nonnull connection) {
    STACK_OF(X509) *verified = SSL_get0_verified_chain(connection);
    return verified && sk_X509_num(verified) > 1 ? verified : SSL_get_peer_cert_chain(connection);
}

static inline int openssl_chain_count(const SSL *_Nonnull connection) {
    STACK_OF(X509) *chain = openssl_chain(connection);
    return chain ? sk_X509_num(chain) : 0;
}

/// Of the connection's own; not to be freed.
static inline X509 *_Nullable openssl_chain_certificate(const SSL *_Nonnull connection, int index) {
    STACK_OF(X509) *chain = openssl_chain(connection);
    return chain ? sk_X509_value(chain, index) : NULL;
}

/// As a server verifies what a client shows. `data` is the callback's, as its application data.
static inline bool openssl_verify_client(
    SSL_CTX *_Nonnull context, X509 *_Nonnull certificate, X509 *_Nullable *_Nonnull others, int count,
    int (*_Nonnull callback)(int, X509_STORE_CTX *_Nullable), void *_Nonnull data) {
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    bool isReady = check && untrusted;
    for (int index = 0; isReady && index < count; index++) isReady = sk_X509_push(untrusted, others[index]);
    isReady = isReady && X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context), certificate, untrusted)
        && X509_STORE_CTX_set_default(check, "ssl_client") && X509_STORE_CTX_set_ex_data(check, 0, data);
    if (isReady) {
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check), SSL_CTX_get_security_level(context));
        X509_STORE_CTX_set_verify_cb(check, callback);
    }
    bool isGood = isReady && X509_verify_cert(check) == 1;
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(check);
    return isGood;
}

// MARK: Revocation lists

static inline long long openssl_list_begin(const X509_CRL *_Nonnull list) {
    struct tm parts;
    const ASN1_TIME *begin = X509_CRL_get0_lastUpdate(list);
    return begin && ASN1_TIME_to_tm(begin, &parts) ? (long long)timegm(&parts) : 0;
}

static inline bool openssl_list_is_delta(const X509_CRL *_Nonnull list) {
    return X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0;
}

/// The number without leading zeros; 0 bytes where there is none, -1 where it is none (RFC 5280 §5.2.3: at most 20 bytes).
static inline int openssl_list_number(const X509_CRL *_Nonnull list, unsigned char bytes[_Nonnull 20]) {
    if (X509_CRL_get_ext_by_NID(list, NID_crl_number, -1) < 0) return 0;
    ASN1_INTEGER *value = X509_CRL_get_ext_d2i(list, NID_crl_number, NULL, NULL);
    BIGNUM *number = value ? ASN1_INTEGER_to_BN(value, NULL) : NULL;
    int count = number && !BN_is_negative(number) && BN_num_bytes(number) <= 20 ? BN_bn2bin(number, bytes) : -1;
    BN_free(number);
    ASN1_INTEGER_free(value);
    return count;
}

/// Whether this authority signed the list, and may (RFC 5280 §4.2.1.3).
static inline bool openssl_signed_list(X509_CRL *_Nonnull list, X509 *_Nonnull authority) {
    EVP_PKEY *key = X509_get0_pubkey(authority);
    return key && X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) == 0
        && (X509_get_key_usage(authority) & KU_CRL_SIGN) && X509_CRL_verify(list, key) == 1;
}

// MARK: OCSP

/// Whether this very key signed the certificate.
static inline bool openssl_issued(X509 *_Nonnull certificate, X509 *_Nonnull issuer) {
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    return key && X509_check_issued(issuer, certificate) == X509_V_OK && X509_verify(certificate, key) == 1;
}

/// By SHA-1, which names a certificate here and protects nothing: what every responder knows (RFC 5019 §2.1.1).
static inline OCSP_CERTID *_Nullable openssl_status_id(X509 *_Nonnull certificate, X509 *_Nonnull issuer) {
    return OCSP_cert_to_id(EVP_sha1(), certificate, issuer);
}

static inline OCSP_REQUEST *_Nullable openssl_status_request(OCSP_CERTID *_Nonnull id, bool has_nonce) {
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *own = OCSP_CERTID_dup(id);
    if (request && own && OCSP_request_add0_id(request, own)) {
        if (!has_nonce || OCSP_request_add1_nonce(request, NULL, 32)) return request;
    } else {
        OCSP_CERTID_free(own);
    }
    OCSP_REQUEST_free(request);
    return NULL;
}

static inline int openssl_write_status_id(BIO *_Nonnull to, OCSP_CERTID *_Nonnull id) {
    return ASN1_i2d_bio_of(OCSP_CERTID, i2d_OCSP_CERTID, to, id);
}

static inline int openssl_write_status_request(BIO *_Nonnull to, OCSP_REQUEST *_Nonnull request) {
    return ASN1_i2d_bio_of(OCSP_REQUEST, i2d_OCSP_REQUEST, to, request);
}

static inline OCSP_CERTID *_Nullable openssl_read_status_id(BIO *_Nonnull from) {
    return ASN1_d2i_bio_of(OCSP_CERTID, OCSP_CERTID_new, d2i_OCSP_CERTID, from, NULL);
}

static inline OCSP_REQUEST *_Nullable openssl_read_status_request(BIO *_Nonnull from) {
    return ASN1_d2i_bio_of(OCSP_REQUEST, OCSP_REQUEST_new, d2i_OCSP_REQUEST, from, NULL);
}

/// Calls back for every address of a responder that the certificate names.
static inline void openssl_responders(X509 *_Nonnull certificate, openssl_name_found _Nonnull found, void *_Nonnull context) {
    STACK_OF(OPENSSL_STRING) *all = X509_get1_ocsp(certificate);
    for (int index = 0; all && index < sk_OPENSSL_STRING_num(all); index++) {
        const char *address = sk_OPENSSL_STRING_value(all, index);
        if (address) found(context, (const unsigned char *)address, strlen(address));
    }
    X509_email_free(all);
}

/// Times are seconds since 1970; `ends` is 0 where the answer does not say.
typedef struct openssl_status {
    int status;
    long long begins;
    long long ends;
} openssl_status;

/// Null where the answer is to this question, and signed by the certificate's issuer or by whom it has charged with that (RFC 6960 §4.2.2.2);
/// else why not.
static inline const char *_Nullable openssl_read_status(
    const unsigned char *_Nonnull bytes, size_t count, OCSP_CERTID *_Nonnull id, OCSP_REQUEST *_Nonnull request, bool wants_nonce,
    X509 *_Nonnull issuer, openssl_status *_Nonnull found) {
    const unsigned char *end = bytes;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &end, (long)count);
    if (!response) return "it is no OCSP response";
    const char *problem = NULL;
    OCSP_BASICRESP *basic = NULL;
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    ASN1_GENERALIZEDTIME *begins = NULL, *next = NULL;
    struct tm parts;
    if (end != bytes + count) problem = "something stands behind it";
    else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        problem = OCSP_response_status_str(OCSP_response_status(response));
    else if (!(basic = OCSP_response_get1_basic(response))) problem = "it is of an unknown kind";
    else if (!store || !known || !X509_STORE_add_cert(store, issuer) || !sk_X509_push(known, issuer)) problem = "no memory";
    else {
        int nonce = OCSP_check_nonce(request, basic);
        // The issuer is trusted, whoever signed it: it was found good, or is this side's own.
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        if (nonce == 0 || (wants_nonce && nonce != 1)) problem = "it was made for another question";
        else if (OCSP_basic_verify(basic, known, store, 0) != 1) problem = "who signed it may not answer for this authority";
        else if (!OCSP_resp_find_status(basic, id, &found->status, NULL, NULL, &begins, &next)) problem = "it is about other certificates";
        else {
            found->begins = begins && ASN1_TIME_to_tm(begins, &parts) ? (long long)timegm(&parts) : 0;
            found->ends = next && ASN1_TIME_to_tm(next, &parts) ? (long long)timegm(&parts) : 0;
        }
    }
    sk_X509_free(known);
    X509_STORE_free(store);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return problem;
}

// MARK: Stapling (RFC 6066 §8)

static inline void openssl_staple(SSL_CTX *_Nonnull context, int (*_Nonnull callback)(SSL *_Nullable, void *_Nullable)) {
    SSL_CTX_set_tlsext_status_cb(context, callback);
}

/// OpenSSL frees what it is given.
static inline bool openssl_set_staple(SSL *_Nonnull connection, const unsigned char *_Nonnull bytes, size_t count) {
    unsigned char *copy = count <= 65535 ? OPENSSL_memdup(bytes, count) : NULL;
    return copy && SSL_set_tlsext_status_ocsp_resp(connection, copy, (long)count);
}

static inline void openssl_want_staple(SSL *_Nonnull connection) { SSL_set_tlsext_status_type(connection, TLSEXT_STATUSTYPE_ocsp); }

static inline long openssl_staple_shown(SSL *_Nonnull connection, const unsigned char *_Nullable *_Nonnull bytes) {
    return SSL_get_tlsext_status_ocsp_resp(connection, bytes);
}
