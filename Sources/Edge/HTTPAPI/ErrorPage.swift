// The page that problem documents point at: every code with what to do, straight from the catalogue.

import HTTPTypes
import Hummingbird
import Model
import NIOCore

enum ErrorPage {
    static let response: Response = {
        var page = """
            <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Postern: error codes</title>
            <style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}</style>
            </head><body><h1>Error codes</h1>

            """
        for code in ErrorCode.allCases {
            let entry = code.entry
            let (category, subject, detail) = entry.smtpEnhanced
            page += """
                <h2 id="\(code.rawValue)"><code>\(code.rawValue)</code></h2>
                <p><strong>\(escape(entry.title)).</strong> \(escape(entry.fix))</p>
                <p>HTTP \(entry.httpStatus), SMTP \(entry.smtpCode) \(category).\(subject).\(detail)</p>

                """
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/html; charset=utf-8",
                .contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'",
            ],
            body: ResponseBody(byteBuffer: ByteBuffer(string: page + "</body></html>\n")))
    }()

    private static func escape(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
