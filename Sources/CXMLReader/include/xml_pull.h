// SPDX-License-Identifier: Apache-2.0
// libxml2's pull parser behind a few functions: its own headers bring ICU's, which Swift's Foundation has in another version.
#ifndef SALLYPORT_XML_PULL_H
#define SALLYPORT_XML_PULL_H

struct xml_pull;

enum xml_pull_event {
    XML_PULL_FAILED = -1,
    XML_PULL_ENDED = 0,
    XML_PULL_OPENED = 1,
    XML_PULL_CLOSED = 2,
    XML_PULL_TEXT = 3,
    /// A document type, an entity: nothing that is read has any.
    XML_PULL_DECLARED = 4,
    XML_PULL_OTHER = 5,
};

/// A reader of `count` bytes of UTF-8, which must stay where they are; NULL without memory. Entities stay as they are, no DTD and
/// no other file is opened, and the parser's limits on depth and length are on.
struct xml_pull *_Nullable xml_pull_open(const void *_Nonnull bytes, int count);
void xml_pull_close(struct xml_pull *_Nonnull reader);
enum xml_pull_event xml_pull_next(struct xml_pull *_Nonnull reader);
/// Whether the element that was opened is closed by the same tag.
int xml_pull_is_empty(struct xml_pull *_Nonnull reader);
/// Goes on to the next attribute of the element; 0 behind the last. Declarations of namespaces are none.
int xml_pull_attribute(struct xml_pull *_Nonnull reader);
/// Without prefix, of the element or attribute; valid until the next call.
const char *_Nonnull xml_pull_name(struct xml_pull *_Nonnull reader);
/// Of the text or attribute; valid until the next call.
const char *_Nonnull xml_pull_value(struct xml_pull *_Nonnull reader);
int xml_pull_line(struct xml_pull *_Nonnull reader);

#endif
