// SPDX-License-Identifier: Apache-2.0
// OpenSSL, and what it has as macros, which Swift does not see.

#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

/// TLS 1.2 and newer; no sessions are resumed unless a cache for them is given, because what was checked at the
/// handshake would not be checked again; no renegotiation.
static inline bool openssl_set_rules(SSL_CTX *_Nonnull context) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

/// Sessions are kept, by whoever sets the callback for them: what is handed out as a ticket is only a number (SSL_OP_NO_TICKET).
static inline void openssl_keep_sessions(SSL_CTX *_Nonnull context, long seconds) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, seconds);
}

static inline bool openssl_set_newest_version(SSL_CTX *_Nonnull context, int version) {
    return SSL_CTX_set_max_proto_version(context, version);
}

/// The groups that keys are agreed on in, the best first. Others are refused, whatever the peer offers: FFDHE with 8192 bits takes a hundred
/// milliseconds (RFC 7919).
static inline bool openssl_set_groups(SSL_CTX *_Nonnull context, const char *_Nonnull groups) {
    return SSL_CTX_set1_groups_list(context, groups);
}

/// Whether the keys of TLS 1.2 are bound to the whole handshake (RFC 7627).
static inline bool openssl_has_bound_keys(SSL *_Nonnull connection) { return SSL_get_extms_support(connection) == 1; }

static inline bool openssl_is_resumed(SSL *_Nonnull connection) { return SSL_session_reused(connection); }

static inline bool openssl_add_chain(SSL_CTX *_Nonnull context, X509 *_Nonnull certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int openssl_error_library(unsigned long error) { return ERR_GET_LIB(error); }
static inline int openssl_error_reason(unsigned long error) { return ERR_GET_REASON(error); }
/// An alert that the peer sent has its number above this one.
static inline int openssl_alert_offset(void) { return SSL_AD_REASON_OFFSET; }

static inline size_t openssl_pending(BIO *_Nonnull bio) { return BIO_ctrl_pending(bio); }
static inline BIO *_Nullable openssl_memory(void) {
    BIO *bio = BIO_new(BIO_s_mem());
    // Empty is not the end: more will come.
    if (bio) BIO_set_mem_eof_return(bio, -1);
    return bio;
}

typedef void (*openssl_name_found)(void *_Nonnull context, const unsigned char *_Nonnull bytes, size_t count);

/// Calls back for every DNS name among the subject's alternative names (RFC 5280 §4.2.1.6).
static inline void openssl_dns_names(const X509 *_Nonnull certificate, openssl_name_found _Nonnull found, void *_Nonnull context) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!names) return;
    for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        if (name->type == GEN_DNS)
            found(context, ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
}

/// Calls back for every mail address among the subject's alternative names.
static inline void openssl_mail_names(const X509 *_Nonnull certificate, openssl_name_found _Nonnull found, void *_Nonnull context) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!names) return;
    for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        if (name->type == GEN_EMAIL)
            found(context, ASN1_STRING_get0_data(name->d.rfc822Name), (size_t)ASN1_STRING_length(name->d.rfc822Name));
    }
    GENERAL_NAMES_free(names);
}

/// Calls back for every user principal name: how Windows names the user of a certificate (szOID_NT_PRINCIPAL_NAME).
static inline void openssl_principal_names(const X509 *_Nonnull certificate, openssl_name_found _Nonnull found, void *_Nonnull context) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!names) return;
    for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        if (name->type != GEN_OTHERNAME || OBJ_obj2nid(name->d.otherName->type_id) != NID_ms_upn) continue;
        const ASN1_TYPE *value = name->d.otherName->value;
        if (value && value->type == V_ASN1_UTF8STRING)
            found(context, ASN1_STRING_get0_data(value->value.utf8string), (size_t)ASN1_STRING_length(value->value.utf8string));
    }
    GENERAL_NAMES_free(names);
}

/// Calls back for every common name of the subject, as UTF-8.
static inline void openssl_common_names(const X509 *_Nonnull certificate, openssl_name_found _Nonnull found, void *_Nonnull context) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    for (int at = -1; (at = X509_NAME_get_index_by_NID((X509_NAME *)subject, NID_commonName, at)) >= 0;) {
        unsigned char *text = NULL;
        int count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
        if (count >= 0) found(context, text, (size_t)count);
        OPENSSL_free(text);
    }
}

/// As RFC 2253 has it, without control characters; at most `capacity` bytes with the end.
static inline void openssl_write_name(const X509_NAME *_Nonnull name, char *_Nonnull text, size_t capacity) {
    BIO *bio = BIO_new(BIO_s_mem());
    text[0] = 0;
    if (!bio) return;
    X509_NAME_print_ex(bio, name, 0, (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) | ASN1_STRFLGS_ESC_CTRL);
    int count = BIO_read(bio, text, (int)capacity - 1);
    text[count > 0 ? count : 0] = 0;
    BIO_free(bio);
}

/// Seconds since 1970.
static inline long long openssl_end(const X509 *_Nonnull certificate) {
    struct tm parts;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) ? (long long)timegm(&parts) : 0;
}

/// Until when a revocation list says that it is up to date, in seconds since 1970; the greatest number where it does not say.
static inline long long openssl_list_end(const X509_CRL *_Nonnull list) {
    struct tm parts;
    const ASN1_TIME *end = X509_CRL_get0_nextUpdate(list);
    if (!end) return LLONG_MAX;
    return ASN1_TIME_to_tm(end, &parts) ? (long long)timegm(&parts) : 0;
}

/// The SHA-256 fingerprint, 32 bytes.
static inline bool openssl_fingerprint(const X509 *_Nonnull certificate, unsigned char *_Nonnull digest) {
    unsigned count = 0;
    return X509_digest(certificate, EVP_sha256(), digest, &count) && count == 32;
}

/// Of the peer's own certificate; the authorities above it are chosen by whoever runs this side.
static inline bool openssl_check_revocation(X509_STORE *_Nonnull store) {
    return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
}

/// A new key on P-256.
static inline EVP_PKEY *_Nullable openssl_make_key(void) { return EVP_EC_gen("P-256"); }

static inline bool openssl_add_extension(X509 *_Nonnull certificate, X509 *_Nonnull issuer, int kind, const char *_Nonnull value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    if (!extension) return false;
    bool isAdded = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return isAdded;
}

/// A certificate for `key`; of an authority where `issuer` is null, then signed by itself, else of a server, with `name` as its DNS name.
/// `name` is letters, digits, dots and hyphens, or it would say more in an extension than a name.
static inline X509 *_Nullable openssl_make_certificate(
    EVP_PKEY *_Nonnull key, const char *_Nonnull name, X509 *_Nullable issuer, EVP_PKEY *_Nonnull issuer_key,
    const unsigned char serial[_Nonnull 16], long days) {
    X509 *certificate = X509_new();
    if (!certificate) return NULL;
    BIGNUM *number = BN_bin2bn(serial, 16, NULL);
    X509_NAME *subject = X509_get_subject_name(certificate);
    char alternative[300];
    snprintf(alternative, sizeof alternative, "DNS:%s", name);
    X509 *parent = issuer ? issuer : certificate;
    bool isMade = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) && X509_set_version(certificate, 2)
        && X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) && X509_time_adj_ex(X509_getm_notAfter(certificate), (int)days, 0, NULL)
        && X509_set_pubkey(certificate, key)
        && X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0)
        && X509_set_issuer_name(certificate, X509_get_subject_name(parent))
        && openssl_add_extension(certificate, parent, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0")
        && openssl_add_extension(certificate, parent, NID_key_usage, issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign")
        && openssl_add_extension(certificate, parent, NID_subject_key_identifier, "hash")
        && openssl_add_extension(certificate, parent, NID_authority_key_identifier, "keyid:always")
        && (!issuer || (openssl_add_extension(certificate, parent, NID_ext_key_usage, "serverAuth")
            && openssl_add_extension(certificate, parent, NID_subject_alt_name, alternative)))
        && X509_sign(certificate, issuer_key, EVP_sha256());
    BN_free(number);
    if (isMade) return certificate;
    X509_free(certificate);
    return NULL;
}
