// Domain names as mail needs them: RFC 1035 / 5321 syntax, and IDNA 2008 labels (RFC 5890-5892) to ASCII.
// The only mapping is lower case and NFC: no look-alike is ever turned into another letter.

import Glibc

enum DomainName {
    /// RFC 1035 §2.3.4, in octets.
    static let maximumLabel = 63
    /// RFC 5321 §4.5.3.1.2, in octets.
    static let maximumName = 255

    /// The lower-case A-label form of a domain name; nil when it is not one.
    /// Address literals are no domain names.
    static func ascii(_ domain: String) -> String? {
        let bytes = Array(domain.utf8)
        guard !bytes.isEmpty, bytes.count <= maximumName else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var last: ArraySlice<UInt8> = []
        for label in bytes.split(separator: .dot, omittingEmptySubsequences: false) {
            guard let converted = asciiLabel(label) else { return nil }
            if !result.isEmpty { result.append(.dot) }
            result += converted
            last = converted[...]
        }
        // A name that ends in a number is an IPv4 address in disguise (RFC 1123 §2.1).
        guard result.count <= maximumName, !last.allSatisfy(\.isDigit) else { return nil }
        return String(decoding: result, as: UTF8.self)
    }

    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
    static func isAddressLiteral(_ domain: String) -> Bool {
        guard domain.utf8.first == .ascii("["), domain.utf8.last == .ascii("]"), domain.utf8.count <= 64 else {
            return false
        }
        let inner = Array(domain.utf8.dropFirst().dropLast())
        guard inner.isASCII, !inner.contains(0) else { return false }
        let tag = Array("IPv6:".utf8)
        if inner.prefix(tag.count).equalsIgnoringCase(tag) {
            var address = in6_addr()
            return inet_pton(AF_INET6, String(decoding: inner.dropFirst(tag.count), as: UTF8.self), &address) == 1
        }
        var address = in_addr()
        return inet_pton(AF_INET, String(decoding: inner, as: UTF8.self), &address) == 1
    }

    private static func asciiLabel(_ label: ArraySlice<UInt8>) -> [UInt8]? {
        guard label.isASCII else { return encodedLabel(label) }
        guard let first = label.first, let last = label.last, label.count <= maximumLabel,
            first != .dash, last != .dash,
            label.allSatisfy({ $0.isLetter || $0.isDigit || $0 == .dash })
        else { return nil }
        let lower = label.map(\.asciiLowercased)
        if lower.starts(with: acePrefix) {
            // A made-up A-label could pose as another name in one reader and not in the next.
            guard let decoded = Punycode.decode(lower.dropFirst(acePrefix.count)), isPlausible(decoded),
                Punycode.encode(decoded) == Array(lower.dropFirst(acePrefix.count))
            else { return nil }
        }
        return lower
    }

    /// Whether a decoded A-label is something that a registry could have meant. Wider than ``isValidULabel(_:)``,
    /// because names under older rules (emoji, say) are alive and already ASCII.
    private static func isPlausible(_ scalars: [Unicode.Scalar]) -> Bool {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        let text = String(view)
        return scalars.contains { !$0.isASCII }
            && scalars.elementsEqual(mapped(text).unicodeScalars)
            && scalars.allSatisfy { scalar in
                !scalar.isControl && !scalar.isBidiControl && !scalar.properties.isWhitespace
                    && !scalar.properties.isNoncharacterCodePoint
            }
    }

    private static func mapped(_ text: String) -> String {
        // Twice: lower-casing may decompose, and composing must not bring back capitals.
        text.canonicallyComposed.lowercased().canonicallyComposed
    }

    private static func encodedLabel(_ label: ArraySlice<UInt8>) -> [UInt8]? {
        guard let text = String(validating: label, as: UTF8.self) else { return nil }
        let mapped = mapped(text)
        let scalars = Array(mapped.unicodeScalars)
        if scalars.allSatisfy(\.isASCII) { return asciiLabel(Array(mapped.utf8)[...]) }
        guard isValidULabel(scalars), let encoded = Punycode.encode(scalars) else { return nil }
        let result = acePrefix + encoded
        return result.count <= maximumLabel ? result : nil
    }

    private static let acePrefix = Array("xn--".utf8)

    // MARK: RFC 5891 §4.2.3 and RFC 5892

    private static func isValidULabel(_ scalars: [Unicode.Scalar]) -> Bool {
        guard let first = scalars.first, let last = scalars.last, first != "-", last != "-" else { return false }
        if scalars.count >= 4, scalars[2] == "-", scalars[3] == "-" { return false }
        switch first.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: return false
        default: break
        }
        return scalars.indices.allSatisfy { isAllowed(scalars[$0], at: $0, in: scalars) }
    }

    private static func isAllowed(_ scalar: Unicode.Scalar, at index: Int, in label: [Unicode.Scalar]) -> Bool {
        let value = scalar.value
        if scalar.isASCII { return scalar == "-" || UInt8(value).isDigit || UInt8(value).isLetter }
        // RFC 5892 §2.6, exceptions.
        switch value {
        case 0x00DF, 0x03C2, 0x06FD, 0x06FE, 0x0F0B, 0x3007: return true
        case 0x0640, 0x07FA, 0x302E, 0x302F, 0x3031...0x3035, 0x303B: return false
        case 0x20D0...0x20FF, 0x1D100...0x1D1FF, 0x1D200...0x1D24F: return false
        case 0x1100...0x11FF, 0xA960...0xA97F, 0xD7B0...0xD7FF: return false
        default: break
        }
        if let contextual = isAllowedInContext(value, at: index, in: label) { return contextual }
        let properties = scalar.properties
        // "Unstable" (§2.2): anything that a compatibility mapping would turn into something else.
        guard !properties.changesWhenNFKCCaseFolded, !properties.isDefaultIgnorableCodePoint,
            !properties.isNoncharacterCodePoint
        else { return false }
        switch properties.generalCategory {
        case .lowercaseLetter, .otherLetter, .modifierLetter, .nonspacingMark, .spacingMark, .decimalNumber:
            return true
        default:
            return false
        }
    }

    /// The contextual rules of RFC 5892, appendix A; nil for code points that have none.
    private static func isAllowedInContext(_ value: UInt32, at index: Int, in label: [Unicode.Scalar]) -> Bool? {
        func neighbour(_ step: Int) -> Unicode.Scalar? {
            label.indices.contains(index + step) ? label[index + step] : nil
        }
        switch value {
        case 0x200C, 0x200D:
            // Joiners only after a virama. (The joining-type rule for ZWNJ needs tables that ICU has.)
            return neighbour(-1)?.properties.canonicalCombiningClass == .virama
        case 0x00B7:
            return neighbour(-1) == "l" && neighbour(1) == "l"
        case 0x0375:
            return neighbour(1).map { isGreek($0.value) } ?? false
        case 0x05F3, 0x05F4:
            return neighbour(-1).map { (0x0590...0x05FF).contains($0.value) } ?? false
        case 0x30FB:
            return label.contains { isKanaOrHan($0.value) }
        case 0x0660...0x0669:
            return !label.contains { (0x06F0...0x06F9).contains($0.value) }
        case 0x06F0...0x06F9:
            return !label.contains { (0x0660...0x0669).contains($0.value) }
        default:
            return nil
        }
    }

    private static func isGreek(_ value: UInt32) -> Bool {
        (0x0370...0x03FF).contains(value) || (0x1F00...0x1FFF).contains(value)
    }

    private static func isKanaOrHan(_ value: UInt32) -> Bool {
        switch value {
        case 0x3041...0x309F, 0x30A1...0x30FA, 0x30FD...0x30FF, 0x3005, 0x3007, 0x3400...0x4DBF, 0x4E00...0x9FFF:
            return true
        default:
            return false
        }
    }
}
