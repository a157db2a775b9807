// SPDX-License-Identifier: Apache-2.0
// Aligned columns: coloured and fitted on a terminal, plain and complete in a pipe.

struct Table: Sendable {
    struct Column: Sendable {
        var title: String
        var isRight = false
        /// Whether it gives way first when the terminal is too narrow.
        var isFlexible = false

        init(_ title: String, isRight: Bool = false, isFlexible: Bool = false) {
            self.title = title
            self.isRight = isRight
            self.isFlexible = isFlexible
        }
    }

    var columns: [Column]
    var rows: [[Span]] = []

    init(_ columns: [Column]) {
        self.columns = columns
    }

    private static let gap = 2
    /// A flexible column is never narrower.
    private static let narrowest = 8

    func lines(_ terminal: Terminal) -> [String] {
        let kept = keptColumns
        var widths = kept.map { index in
            rows.reduce(SafeText.width(columns[index].title)) { max($0, $1[index].width) }
        }
        if let width = terminal.width { fit(&widths, kept, to: width) }
        let header = kept.enumerated().map { position, index in
            cell(Span(columns[index].title, .soft), columns[index], widths[position], isLast: position == kept.count - 1, terminal)
        }
        let body = rows.map { row in
            kept.enumerated().map { position, index in
                cell(row[index], columns[index], widths[position], isLast: position == kept.count - 1, terminal)
            }
        }
        return ([header] + body).map { $0.joined(separator: String(repeating: " ", count: Self.gap)) }
    }

    /// A column in which no row says anything says nothing.
    private var keptColumns: [Int] {
        columns.indices.filter { index in index == 0 || rows.contains { $0[index].text != Span.none.text && !$0[index].text.isEmpty } }
    }

    private func fit(_ widths: inout [Int], _ kept: [Int], to limit: Int) {
        func total() -> Int { widths.reduce(0, +) + Self.gap * (widths.count - 1) }
        while total() > limit {
            let flexible = kept.indices.filter { columns[kept[$0]].isFlexible && widths[$0] > Self.narrowest }
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { return }
            widths[widest] = max(Self.narrowest, widths[widest] - (total() - limit))
        }
    }

    private func cell(_ span: Span, _ column: Column, _ width: Int, isLast: Bool, _ terminal: Terminal) -> String {
        let text = terminal.width == nil ? span.text : SafeText.cut(span.text, to: width)
        let padding = String(repeating: " ", count: max(0, width - SafeText.width(text)))
        let painted = span.tone.paint(text, terminal.hasColor)
        return column.isRight ? padding + painted : isLast ? painted : painted + padding
    }
}

/// Labels and values, one below the other.
struct Sheet: Sendable {
    private(set) var rows: [(label: String, values: [Span])] = []

    mutating func add(_ label: String, _ value: Span?) {
        rows.append((label, [value ?? .none]))
    }

    /// Several values stand below each other.
    mutating func add(_ label: String, _ values: [Span]) {
        rows.append((label, values.isEmpty ? [.none] : values))
    }

    func lines(_ terminal: Terminal) -> [String] {
        let width = rows.map { SafeText.width($0.label) }.max() ?? 0
        return rows.flatMap { label, values in
            values.enumerated().map { position, value in
                let text = position == 0 ? label : ""
                let padding = String(repeating: " ", count: width - SafeText.width(text) + 2)
                return Tone.soft.paint(text, terminal.hasColor) + padding + value.tone.paint(value.text, terminal.hasColor)
            }
        }
    }
}
