// Reads Swift text as tokens and looks for values that stand in for settings: only a vault or its instance may set those.

/// What a token is, as far as the scan cares.
private enum Token: Equatable {
    case word(String)
    case number
    case text
    case sign(Character)
    /// `??`
    case otherwise
}

struct LiteralScan {
    /// Names of parameters and variables that hold the value of a setting, and must not be given a literal.
    static let names: Set<String> = [
        "priority", "defaultPriority", "envelopeStrategy", "defaultEnvelopeStrategy", "envelopeAddress", "defaultTags",
        "campaignID", "defaultCampaignID", "allowedSenderDomains", "ipPoolStrategy", "ipPoolMissing", "authMode",
        "sendRateLimit", "burstCeiling", "keySendRateLimit", "keyBurstCeiling", "agentSendRateLimit",
        "agentBurstCeiling", "domainSendRateLimit", "domainBurstCeiling", "perHour", "burst", "repeatLimit",
        "autoReplyLimit", "approveOverRateThreshold", "agentSendRequiresApproval", "outboundGuard", "retentionDays",
    ]

    private let tokens: [Token]
    private let lines: [Int]

    /// How often a setting is named: so that a scan that reads nothing does not count as clean.
    var uses: Int { tokens.indices.count { isSetting($0) } }

    init(_ source: String) {
        var lexer = Lexer(source)
        while lexer.next() {}
        (tokens, lines) = (lexer.tokens, lexer.lines)
    }

    /// Lines with an offence, each with what it is.
    func offences() -> [String] {
        var found: [Int: String] = [:]
        let bound = boundNames()
        for index in tokens.indices {
            if isSetting(index) {
                var next = chainEnd(index + 3)
                if token(next) == .otherwise, isLiteral(next + 1) { found[index] = "a literal after ??" }
                if token(next) == .sign("{") {
                    next = closing(next) + 1
                    if token(next) == .word("else"), token(next + 1) == .sign("{"), isLiteral(next + 2) {
                        found[index] = "a literal in else"
                    }
                }
            }
            if token(index) == .word("require"), token(index + 1) == .sign("("), isSetting(index + 2) {
                if isTriedAway(index) { found[index] = "setting_unset is swallowed by try?" }
                if let inCatch = literalInCatch(after: index) { found[inCatch] = "a literal in catch" }
            }
            guard case .word(let name) = tokens[index] else { continue }
            if bound.contains(name), token(index + 1) == .otherwise, isLiteral(index + 2) {
                found[index] = "a literal after ??"
            }
            if Self.names.contains(name), let value = given(after: index), isLiteral(value) {
                found[index] = "a literal for \(name)"
            }
        }
        return found.sorted { $0.key < $1.key }.map { "\(lines[$0.key]): \($0.value)" }
    }

    // MARK: Reading tokens

    private func token(_ index: Int) -> Token? { tokens.indices.contains(index) ? tokens[index] : nil }

    /// Whether `Settings.name` stands here.
    private func isSetting(_ index: Int) -> Bool {
        guard token(index) == .word("Settings"), token(index + 1) == .sign("."), case .word = token(index + 2) else {
            return false
        }
        return true
    }

    /// A value written out. An empty list and nil mean that there is none.
    private func isLiteral(_ index: Int) -> Bool {
        switch token(index) {
        case .number, .text: return true
        case .word("true"), .word("false"): return true
        case .sign("-"): return token(index + 1) == .number
        case .sign("["): return isLiteral(index + 1)
        case .sign("."):
            guard case .word(let name) = token(index + 1) else { return false }
            // `.none` of an optional, or something that is computed.
            return name != "none" && name != "init" && token(index + 2) != .sign("(") && token(index + 2) != .sign(".")
        default: return false
        }
    }

    /// Behind the closing parenthesis and what is called on the result, such as `.map { … }`.
    private func chainEnd(_ start: Int) -> Int {
        var index = start
        if token(index) == .sign(")") { index += 1 }
        while true {
            if token(index) == .sign("?"), token(index + 1) == .sign(".") { index += 1 }
            guard token(index) == .sign("."), case .word = token(index + 1) else { return index }
            index += 2
            while token(index) == .sign("(") || (token(index) == .sign("{") && token(closing(index) + 1) == .otherwise)
            {
                index = closing(index) + 1
            }
        }
    }

    /// Where the bracket that opens here closes.
    private func closing(_ start: Int) -> Int {
        var depth = 0
        for index in start..<tokens.count {
            if case .sign(let sign) = tokens[index] {
                if "({[".contains(sign) { depth += 1 }
                if ")}]".contains(sign) { depth -= 1 }
            }
            if depth == 0 { return index }
        }
        return tokens.count
    }

    /// Constants that hold what `value(Settings.…)` gave.
    private func boundNames() -> Set<String> {
        var names: Set<String> = []
        for index in tokens.indices where isSetting(index) && token(index - 2) == .word("value") {
            for start in stride(from: index - 3, through: max(index - 14, 2), by: -1) where token(start) == .sign("=") {
                if case .word(let name) = token(start - 1), [.word("let"), .word("var")].contains(token(start - 2)) {
                    names.insert(name)
                }
                break
            }
        }
        return names
    }

    /// Whether `try?` governs the call whose name stands here.
    private func isTriedAway(_ index: Int) -> Bool {
        for start in stride(from: index - 1, through: max(index - 10, 0), by: -1) where token(start) == .word("try") {
            return token(start + 1) == .sign("?")
        }
        return false
    }

    /// A literal that a `catch` puts in the place of the value that was asked for in its `do`.
    private func literalInCatch(after index: Int) -> Int? {
        var depth = 0
        for next in index..<min(index + 200, tokens.count) {
            if tokens[next] == .sign("{") { depth += 1 }
            if tokens[next] == .sign("}") { depth -= 1 }
            guard depth < 0 else { continue }
            guard token(next + 1) == .word("catch") else { return nil }
            guard let open = (next..<min(next + 20, tokens.count)).first(where: { tokens[$0] == .sign("{") }) else {
                return nil
            }
            for inside in open..<min(closing(open), tokens.count)
            where [.sign("="), .word("return")].contains(tokens[inside]) && isLiteral(inside + 1) {
                return inside
            }
            return nil
        }
        return nil
    }

    /// Where the value stands that the name is given: `name: value`, `name = value`, `name: Type = value`.
    private func given(after index: Int) -> Int? {
        switch token(index + 1) {
        // `==` compares.
        case .sign("="): return token(index + 2) == .sign("=") ? nil : index + 2
        case .sign(":"):
            guard case .word = token(index + 2) else { return token(index - 1) == .sign("?") ? nil : index + 2 }
            var next = index + 3
            while token(next) == .sign("?") || token(next) == .sign(".") { next += token(next) == .sign(".") ? 2 : 1 }
            if token(next) == .sign("="), token(next + 1) != .sign("=") { return next + 1 }
            return index + 2
        default: return nil
        }
    }
}

/// Swift text as tokens, without comments and without what stands in strings.
private struct Lexer {
    private(set) var tokens: [Token] = []
    private(set) var lines: [Int] = []
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1

    init(_ source: String) { bytes = Array(source.utf8) }

    private func peek(_ offset: Int = 0) -> UInt8 { index + offset < bytes.count ? bytes[index + offset] : 0 }

    private mutating func add(_ token: Token, at line: Int? = nil) {
        tokens.append(token)
        lines.append(line ?? self.line)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80 || isDigit(byte)
            || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    /// Reads one token, or skips what is none.
    mutating func next() -> Bool {
        guard index < bytes.count else { return false }
        let byte = bytes[index]
        switch byte {
        case UInt8(ascii: "\n"):
            line += 1
            index += 1
        case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
            while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): skipComment()
        case UInt8(ascii: "\""): readText(hashes: 0)
        case UInt8(ascii: "#") where peek(1) == UInt8(ascii: "\"") || peek(1) == UInt8(ascii: "#"):
            var hashes = 0
            while peek(hashes) == UInt8(ascii: "#") { hashes += 1 }
            index += hashes
            if peek() == UInt8(ascii: "\"") { readText(hashes: hashes) }
        case UInt8(ascii: "?") where peek(1) == UInt8(ascii: "?"):
            add(.otherwise)
            index += 2
        case _ where Self.isWord(byte):
            let start = index
            while Self.isWord(peek()) && index < bytes.count { index += 1 }
            add(Self.isDigit(byte) ? .number : .word(String(decoding: bytes[start..<index], as: UTF8.self)))
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "`"): index += 1
        default:
            add(.sign(Character(Unicode.Scalar(byte))))
            index += 1
        }
        return true
    }

    private mutating func skipComment() {
        var depth = 0
        repeat {
            if peek() == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                index += 2
            } else if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                index += 2
            } else {
                if peek() == UInt8(ascii: "\n") { line += 1 }
                index += 1
            }
        } while depth > 0 && index < bytes.count
    }

    /// A string of one or of several lines; what is interpolated is read as code behind it.
    private mutating func readText(hashes: Int) {
        let isLong = peek(1) == UInt8(ascii: "\"") && peek(2) == UInt8(ascii: "\"")
        let quotes = isLong ? 3 : 1
        add(.text)
        index += quotes
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\n") { line += 1 }
            let isEnd =
                (0..<quotes).allSatisfy { peek($0) == UInt8(ascii: "\"") }
                && (0..<hashes).allSatisfy { peek(quotes + $0) == UInt8(ascii: "#") }
            if isEnd {
                index += quotes + hashes
                return
            }
            if bytes[index] == UInt8(ascii: "\\"), (0..<hashes).allSatisfy({ peek(1 + $0) == UInt8(ascii: "#") }) {
                index += 1 + hashes
                if peek() == UInt8(ascii: "(") { readInterpolation() } else { index += 1 }
                continue
            }
            index += 1
        }
    }

    private mutating func readInterpolation() {
        var depth = 0
        repeat {
            let before = tokens.count
            guard next() else { return }
            guard tokens.count > before, case .sign(let sign) = tokens[tokens.count - 1] else { continue }
            if sign == "(" { depth += 1 }
            if sign == ")" { depth -= 1 }
        } while depth > 0
    }
}
