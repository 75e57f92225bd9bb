// An aligned table of a list's rows. The first page decides the widths, so that any number of pages is one table.

import JSON

/// One column: a title and the member that it shows.
struct TableColumn: Sendable {
    let title: String
    let text: @Sendable (JSONObject) -> String
    /// The most columns of the terminal that a cell takes.
    let limit: Int

    init(_ title: String, _ member: String, limit: Int = 40) {
        self.init(title, limit: limit) { ValueText.cell($0[member]) }
    }

    init(_ title: String, limit: Int = 40, text: @escaping @Sendable (JSONObject) -> String) {
        self.title = title
        self.text = text
        self.limit = limit
    }
}

struct Table: Sendable {
    private let columns: [TableColumn]
    private var widths: [Int]? = nil

    init(_ columns: [TableColumn]) { self.columns = columns }

    /// The lines of these rows, with the titles above the first ones.
    mutating func lines(_ rows: [JSONObject]) -> [String] {
        let cells = rows.map { row in columns.map { TextWidth.clipped($0.text(row), to: $0.limit) } }
        guard let widths else {
            let all = [columns.map(\.title)] + cells
            let widths = columns.indices.map { column in all.map { TextWidth.columns($0[column]) }.max() ?? 0 }
            self.widths = widths
            return all.map { Self.line($0, widths) }
        }
        return cells.map { Self.line($0, widths) }
    }

    private static func line(_ cells: [String], _ widths: [Int]) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            line += cell
            guard index + 1 < cells.count else { break }
            line += String(repeating: " ", count: max(0, widths[index] - TextWidth.columns(cell)) + 2)
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
