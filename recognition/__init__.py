"""Photo to words: decoding images, the encoders, the LSTM that spells labels, training and the served recognizer."""
