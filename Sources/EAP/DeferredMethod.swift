// SPDX-License-Identifier: Apache-2.0
// A method that is made when it is its turn: a device that refuses it has cost no session of TLS.

public struct DeferredMethod: EAPMethod {
    public let type: EAPType
    private let make: @Sendable () throws -> any EAPMethod
    private var made: (any EAPMethod)?

    /// - Parameter make: gives one of this type.
    public init(_ type: EAPType, _ make: @escaping @Sendable () throws -> any EAPMethod) {
        self.type = type
        self.make = make
    }

    public var keptBytes: Int { 64 + (made?.keptBytes ?? 0) }
    public var pendingFailure: EAPFailureReason? { made?.pendingFailure }

    public mutating func begin(identifier: UInt8) -> MethodStep {
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
        guard var method = made else { return .failure(.unexpectedType(type)) }
        let step = method.take(response: response)
        made = method
        return step
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        guard var method = made else { return .failure(.unexpectedType(type)) }
        let step = method.take(verdict: verdict)
        made = method
        return step
    }
}
