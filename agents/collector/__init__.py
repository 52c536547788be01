"""What comes from browsers and back ends: checked, reduced to what may be kept, and acknowledged once it is kept."""
