// @generated
pub fn three() {}
