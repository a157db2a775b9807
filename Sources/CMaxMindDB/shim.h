#include <maxminddb.h>

// memfd_create(2): glibc declares it where _GNU_SOURCE is set, which Swift's importer does not.
int memfd_create(const char *name, unsigned int flags);
