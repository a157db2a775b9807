// SPDX-License-Identifier: Apache-2.0
#include "xml_pull.h"

#include <libxml/xmlreader.h>

static xmlTextReaderPtr inner(struct xml_pull *reader) { return (xmlTextReaderPtr)reader; }

static const char *text(const xmlChar *value) { return value ? (const char *)value : ""; }

struct xml_pull *xml_pull_open(const void *bytes, int count) {
    int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES;
    return (struct xml_pull *)xmlReaderForMemory(bytes, count, NULL, "UTF-8", options);
}

void xml_pull_close(struct xml_pull *reader) { xmlFreeTextReader(inner(reader)); }

enum xml_pull_event xml_pull_next(struct xml_pull *reader) {
    int status = xmlTextReaderRead(inner(reader));
    if (status != 1) return status == 0 ? XML_PULL_ENDED : XML_PULL_FAILED;
    switch (xmlTextReaderNodeType(inner(reader))) {
    case XML_READER_TYPE_ELEMENT: return XML_PULL_OPENED;
    case XML_READER_TYPE_END_ELEMENT: return XML_PULL_CLOSED;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_WHITESPACE:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE: return XML_PULL_TEXT;
    case XML_READER_TYPE_DOCUMENT_TYPE:
    case XML_READER_TYPE_ENTITY:
    case XML_READER_TYPE_END_ENTITY:
    case XML_READER_TYPE_NOTATION:
    case XML_READER_TYPE_ENTITY_REFERENCE: return XML_PULL_DECLARED;
    default: return XML_PULL_OTHER;
    }
}

int xml_pull_is_empty(struct xml_pull *reader) { return xmlTextReaderIsEmptyElement(inner(reader)) == 1; }

int xml_pull_attribute(struct xml_pull *reader) {
    while (xmlTextReaderMoveToNextAttribute(inner(reader)) == 1) {
        if (xmlTextReaderIsNamespaceDecl(inner(reader)) != 1) return 1;
    }
    return 0;
}

const char *xml_pull_name(struct xml_pull *reader) { return text(xmlTextReaderConstLocalName(inner(reader))); }

const char *xml_pull_value(struct xml_pull *reader) { return text(xmlTextReaderConstValue(inner(reader))); }

int xml_pull_line(struct xml_pull *reader) {
    // The parser reads ahead of the node that is looked at; where there is none, it stands at what it could not read.
    xmlNodePtr node = xmlTextReaderCurrentNode(inner(reader));
    long line = node ? xmlGetLineNo(node) : 0;
    return line > 0 ? (int)line : xmlTextReaderGetParserLineNumber(inner(reader));
}
