// SPDX-License-Identifier: Apache-2.0
// A method that is made when it is its turn, or when the peer has agreed to it: a device that refuses it has cost no session of TLS.

public struct DeferredMethod: EAPMethod {
    public let type: EAPType
    private let make: @Sendable () throws -> any EAPMethod
    /// What it begins with, whatever it is made with; nil: it is made to say so.
    private let opening: [UInt8]?
    private var identifier: UInt8 = 0
    private var made: (any EAPMethod)?

    /// - Parameter make: gives one of this type.
    public init(_ type: EAPType, _ make: @escaping @Sendable () throws -> any EAPMethod) {
        self.init(type, opening: nil, make)
    }

    private init(_ type: EAPType, opening: [UInt8]?, _ make: @escaping @Sendable () throws -> any EAPMethod) {
        (self.type, self.opening, self.make) = (type, opening, make)
    }

    /// A method with TLS. Its first word is the same for all (RFC 5216 §2.1.1), so it is made when the peer has agreed to it.
    public static func tunnel(_ type: EAPType, _ make: @escaping @Sendable () throws -> any EAPMethod) -> DeferredMethod {
        DeferredMethod(type, opening: [FragmentFlags.start], make)
    }

    public var keptBytes: Int { 64 + (made?.keptBytes ?? 0) }
    public var pendingFailure: EAPFailureReason? { made?.pendingFailure }

    public mutating func begin(identifier: UInt8) -> MethodStep {
        self.identifier = identifier
        if let opening { return .request(opening) }
        return makeAndBegin()
    }

    private mutating func makeAndBegin() -> MethodStep {
        do {
            var method = try make()
            guard method.type == type else { return .failure(.unexpectedType(method.type)) }
            let step = method.begin(identifier: identifier)
            made = method
            return step
        } catch {
            return .failure(.unsupported("\(type) that cannot begin: \(error)"))
        }
    }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        if made == nil, let opening {
            let step = makeAndBegin()
            guard step == .request(opening) else { return step }
        }
        guard var method = made.take() else { return .failure(.unexpectedType(type)) }
        let step = method.take(response: response)
        made = method
        return step
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        guard var method = made.take() else { return .failure(.unexpectedType(type)) }
        let step = method.take(verdict: verdict)
        made = method
        return step
    }
}
