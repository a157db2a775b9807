// SPDX-License-Identifier: Apache-2.0
// What an authority does: certificates by their parts, revocation lists, and packing a certificate with its key.

#pragma once

#include "shim.h"

#include <openssl/bn.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>

static inline EVP_PKEY *_Nullable openssl_make_rsa_key(int bits) { return EVP_RSA_gen((size_t)bits); }
static inline int openssl_key_bits(EVP_PKEY *_Nonnull key) { return EVP_PKEY_get_bits(key); }
static inline bool openssl_is_rsa(EVP_PKEY *_Nonnull key) { return EVP_PKEY_is_a(key, "RSA"); }

static inline bool openssl_set_time(ASN1_TIME *_Nullable field, long long seconds) {
    return field && ASN1_TIME_set(field, (time_t)seconds);
}

/// Seconds since 1970.
static inline long long openssl_begin(const X509 *_Nonnull certificate) {
    struct tm parts;
    return ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &parts) ? (long long)timegm(&parts) : 0;
}

/// The serial number as a positive number of at most 20 bytes; 0 where it is none.
static inline int openssl_serial(const X509 *_Nonnull certificate, unsigned char bytes[_Nonnull 20]) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    int count = number && !BN_is_negative(number) && BN_num_bytes(number) <= 20 ? BN_bn2bin(number, bytes) : 0;
    BN_free(number);
    return count;
}

/// SHA-1 over the certificate, 20 bytes: how Windows names one.
static inline bool openssl_thumbprint(const X509 *_Nonnull certificate, unsigned char *_Nonnull digest) {
    unsigned count = 0;
    return X509_digest(certificate, EVP_sha1(), digest, &count) && count == 20;
}

static inline bool openssl_set_serial(ASN1_INTEGER *_Nullable field, const unsigned char *_Nonnull serial, int count) {
    BIGNUM *number = BN_bin2bn(serial, count, NULL);
    bool isSet = field && number && BN_to_ASN1_INTEGER(number, field);
    BN_free(number);
    return isSet;
}

/// A new certificate of version 3 for `key`, with nothing but what every one has.
static inline X509 *_Nullable openssl_new_certificate(
    EVP_PKEY *_Nonnull key, const unsigned char *_Nonnull serial, int count, long long begin, long long end) {
    X509 *certificate = X509_new();
    if (!certificate) return NULL;
    if (X509_set_version(certificate, 2) && openssl_set_serial(X509_get_serialNumber(certificate), serial, count)
        && openssl_set_time(X509_getm_notBefore(certificate), begin) && openssl_set_time(X509_getm_notAfter(certificate), end)
        && X509_set_pubkey(certificate, key))
        return certificate;
    X509_free(certificate);
    return NULL;
}

/// Adds a part of the subject's name, as UTF-8.
static inline bool openssl_add_name(
    X509 *_Nonnull certificate, const char *_Nonnull kind, const unsigned char *_Nonnull text, int count) {
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), kind, MBSTRING_UTF8, text, count, -1, 0);
}

static inline bool openssl_set_issuer(X509 *_Nonnull certificate, X509 *_Nonnull issuer) {
    return X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
}

static inline GENERAL_NAMES *_Nullable openssl_new_names(void) { return GENERAL_NAMES_new(); }
static inline void openssl_free_names(GENERAL_NAMES *_Nullable names) { GENERAL_NAMES_free(names); }

/// A name of ASCII: GEN_DNS or GEN_EMAIL. The bytes are a value, never read as words of a configuration.
static inline bool openssl_add_ascii_name(GENERAL_NAMES *_Nonnull names, int kind, const unsigned char *_Nonnull text, int count) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    if (name && value && ASN1_STRING_set(value, text, count)) {
        GENERAL_NAME_set0_value(name, kind, value);
        value = NULL;
        if (sk_GENERAL_NAME_push(names, name)) return true;
    }
    ASN1_IA5STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
}

/// A user principal name (szOID_NT_PRINCIPAL_NAME), as Windows names the user of a certificate.
static inline bool openssl_add_principal(GENERAL_NAMES *_Nonnull names, const unsigned char *_Nonnull text, int count) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_UTF8STRING *utf8 = ASN1_UTF8STRING_new();
    if (name && value && utf8 && ASN1_STRING_set(utf8, text, count)) {
        ASN1_TYPE_set(value, V_ASN1_UTF8STRING, utf8);
        utf8 = NULL;
        if (GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_ms_upn), value)) {
            value = NULL;
            if (sk_GENERAL_NAME_push(names, name)) return true;
        }
    }
    ASN1_UTF8STRING_free(utf8);
    ASN1_TYPE_free(value);
    GENERAL_NAME_free(name);
    return false;
}

static inline bool openssl_set_names(X509 *_Nonnull certificate, GENERAL_NAMES *_Nonnull names) {
    return sk_GENERAL_NAME_num(names) == 0 || X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
}

static inline bool openssl_sign(X509 *_Nonnull certificate, EVP_PKEY *_Nonnull key) { return X509_sign(certificate, key, EVP_sha256()); }

static inline bool openssl_belongs(X509 *_Nonnull certificate, EVP_PKEY *_Nonnull key) {
    return X509_check_private_key(certificate, key) == 1;
}

/// An empty list of version 2 (RFC 5280 §5.1.2.1).
static inline X509_CRL *_Nullable openssl_new_list(X509 *_Nonnull issuer, long long at, long long next) {
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();
    bool isMade = list && time && X509_CRL_set_version(list, 1) && X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer))
        && openssl_set_time(time, at) && X509_CRL_set1_lastUpdate(list, time) && openssl_set_time(time, next)
        && X509_CRL_set1_nextUpdate(list, time);
    ASN1_TIME_free(time);
    if (isMade) return list;
    X509_CRL_free(list);
    return NULL;
}

static inline bool openssl_add_revoked(
    X509_CRL *_Nonnull list, const unsigned char *_Nonnull serial, int count, long long at, int reason) {
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *time = ASN1_TIME_new();
    ASN1_ENUMERATED *cause = ASN1_ENUMERATED_new();
    bool isMade = entry && number && time && cause && openssl_set_serial(number, serial, count)
        && X509_REVOKED_set_serialNumber(entry, number) && openssl_set_time(time, at) && X509_REVOKED_set_revocationDate(entry, time)
        // Unspecified is not written (RFC 5280 §5.3.1).
        && (reason == CRL_REASON_UNSPECIFIED
            || (ASN1_ENUMERATED_set(cause, reason) && X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, cause, 0, 0)))
        && X509_CRL_add0_revoked(list, entry);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
    ASN1_ENUMERATED_free(cause);
    if (!isMade) X509_REVOKED_free(entry);
    return isMade;
}

static inline bool openssl_sign_list(X509_CRL *_Nonnull list, X509 *_Nonnull issuer, EVP_PKEY *_Nonnull key, long long number) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, NULL, NULL, list, 0);
    ASN1_INTEGER *value = ASN1_INTEGER_new();
    X509_EXTENSION *identifier = X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    bool isSigned = value && identifier && ASN1_INTEGER_set_int64(value, number) && X509_CRL_add_ext(list, identifier, -1)
        && X509_CRL_add1_ext_i2d(list, NID_crl_number, value, 0, 0) && X509_CRL_sort(list) && X509_CRL_sign(list, key, EVP_sha256());
    ASN1_INTEGER_free(value);
    X509_EXTENSION_free(identifier);
    return isSigned;
}

/// PKCS #12 of a certificate, its key and its authority. `isModern`: AES-256 and HMAC-SHA-256 (PBES2); else what every device reads,
/// triple DES and HMAC-SHA-1 (RFC 7292 §C).
static inline PKCS12 *_Nullable openssl_pack(
    const char *_Nonnull password, const char *_Nonnull name, EVP_PKEY *_Nonnull key, X509 *_Nonnull certificate, X509 *_Nonnull authority,
    bool isModern, int rounds) {
    STACK_OF(X509) *others = sk_X509_new_null();
    PKCS12 *pack = NULL;
    if (others && sk_X509_push(others, authority)) {
        int cipher = isModern ? NID_aes_256_cbc : NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
        // The MAC is set below, with its digest.
        pack = PKCS12_create(password, name, key, certificate, others, cipher, cipher, rounds, -1, 0);
        if (pack && !PKCS12_set_mac(pack, password, -1, NULL, 0, rounds, isModern ? EVP_sha256() : EVP_sha1())) {
            PKCS12_free(pack);
            pack = NULL;
        }
    }
    sk_X509_free(others);
    return pack;
}
