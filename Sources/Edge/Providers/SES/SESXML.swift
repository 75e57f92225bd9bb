// The XML of SES's query API: an element named after the action, with its result and the request's id.

struct SESXML: Sendable {
    private static let namespace = "http://ses.amazonaws.com/doc/2010-12-01/"

    private var text = ""

    mutating func element(_ name: String, _ value: String) {
        text += "<\(name)>\(Self.escaped(value))</\(name)>"
    }

    mutating func element(_ name: String, _ body: (inout SESXML) -> Void) {
        text += "<\(name)>"
        body(&self)
        text += "</\(name)>"
    }

    /// A list as the query API writes it.
    mutating func list(_ name: String, _ values: [String]) {
        element(name) { xml in for value in values { xml.element("member", value) } }
    }

    /// `<ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>…`.
    static func answer(_ action: String, requestID: String, _ result: (inout SESXML) -> Void) -> ProviderAnswer {
        var xml = SESXML()
        xml.text = "<\(action)Response xmlns=\"\(namespace)\">"
        xml.element("\(action)Result", result)
        xml.element("ResponseMetadata") { $0.element("RequestId", requestID) }
        xml.text += "</\(action)Response>\n"
        return xml.answer(status: 200, requestID)
    }

    static func error(_ kind: SESErrors.Kind, _ message: String, requestID: String) -> ProviderAnswer {
        var xml = SESXML()
        xml.text = "<ErrorResponse xmlns=\"\(namespace)\">"
        xml.element("Error") { error in
            error.element("Type", kind.status < 500 ? "Sender" : "Receiver")
            error.element("Code", kind.code)
            error.element("Message", message)
        }
        xml.element("RequestId", requestID)
        xml.text += "</ErrorResponse>\n"
        return xml.answer(status: kind.status, requestID)
    }

    private func answer(status: Int, _ requestID: String) -> ProviderAnswer {
        ProviderAnswer(
            status: status, headers: [("Content-Type", "text/xml"), ("x-amzn-RequestId", requestID)],
            body: Array(text.utf8))
    }

    /// Characters that XML 1.0 cannot hold even escaped become the replacement character.
    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\t", "\n", "\r": escaped += "&#\(scalar.value);"
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
                escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
